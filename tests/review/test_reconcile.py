"""What a command reported is what is true: a failed decision is never carried out, a commit is never a pending edit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.core.edit import Edit
from engine.core.events import EditDecided, EditProposed
from engine.core.locks import file_lock
from engine.review import decisions
from engine.review import decisions as reviews
from engine.review.errors import AlreadyDecided, NotLogged, ReviewError
from engine.review.heads import may_lack
from engine.review.journal import reconcile
from engine.review.missing import unlogged
from engine.runs.directory import DECISIONS_LOCK, Run
from engine.runs.errors import RunError
from engine.skills import Delete, Insert, Update
from engine.skills.history.history import History, HistoryError
from tests.review.interrupted import die, lost_events, notices, states
from tests.review.proposing import commits, full_log, git, propose, proposed, skills, text
from tests.runs.engines import ROOT
from tests.runs.samples import CONFIG

# A crash


def test_an_approval_cut_off_before_its_commit_never_happens(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    other = proposed(run, Insert("two", text("two")))
    die(run, "approve", edit_id, "before")
    assert reconcile(run) == []
    reviews.approve(run, other, "bob")
    assert states(run) == ["pending", "committed"] and skills(run) == {"two": text("two")}


def test_an_approval_cut_off_after_its_commit_is_logged_once(run: Run) -> None:
    edit_id = propose(run, Insert("one", text("one"))) or ""
    die(run, "approve", edit_id, "after", "it is right,\n\nReviewer: the boss\nand short")
    assert run.edit(edit_id).state == "pending"
    assert reconcile(run) == [edit_id] and reconcile(run) == []
    decision = run.edit(edit_id).decision
    assert decision is not None and (decision.action, decision.by) == ("approve", "ann")
    assert decision.reason == "it is right,\n\nReviewer: the boss\nand short"
    assert git(run, "rev-parse", "HEAD").strip() == decision.commit
    assert [len(run.events(kinds=[kind])) for kind in ("edit_proposed", "edit_decided")] == [1, 1]


def test_an_undo_cut_off_by_a_crash_is_logged_where_its_commit_was_made(run: Run) -> None:
    edit_id = reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann").id
    die(run, "undo", edit_id, "before")
    assert reconcile(run) == [] and run.edit(edit_id).state == "committed"
    die(run, "undo", edit_id, "after")
    assert reconcile(run) == [edit_id]
    assert run.edit(edit_id).state == "undone" and skills(run) == {}


def test_the_reason_of_an_undo_is_kept_in_the_commit_and_the_log(run: Run) -> None:
    edit_id = reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann", "good").id
    with full_log(run), pytest.raises(NotLogged):
        reviews.undo(run, edit_id, "bob", "not so good")
    reconcile(run)
    decision = run.edit(edit_id).decision
    assert decision is not None and (decision.action, decision.by, decision.reason) == ("undo", "bob", "not so good")


@pytest.mark.parametrize("action", ["approve", "veto", "undo"])
def test_a_reason_that_is_given_on_the_command_line_is_never_dropped(run: Run, action: str) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    if action == "undo":
        reviews.approve(run, edit_id, "ann")
    assert main(["review", str(run.path), action, edit_id, "--reason", "seen by hand"]) == 0
    decision = run.edit(edit_id).decision
    assert decision is not None and decision.reason == "seen by hand"
    assert main(["review", str(run.path), "requeue", edit_id, "--reason", "again"]) != 0


def test_an_amendment_cut_off_by_a_crash_is_logged_with_the_persons_text(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one", "Vague.\n")))
    exact = text("one", "git push --force\n")
    die(run, "amend", edit_id, "before", exact)
    assert reconcile(run) == [] and run.edit(edit_id).after == text("one", "Vague.\n")
    die(run, "amend", edit_id, "after", exact, "more exact")
    assert reconcile(run) == [edit_id]
    edit = run.edit(edit_id)
    assert (edit.state, edit.after, edit.original, edit.amended_by) == (
        "committed", exact, text("one", "Vague.\n"), "ann"
    )  # fmt: skip
    assert edit.decision is not None and edit.decision.reason == "more exact"
    assert [finding.rule for finding in edit.findings] == ["destructive-command"]


def test_a_committed_amendment_is_logged_also_where_the_gates_refuse_it_now(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one", "Vague.\n")))
    die(run, "amend", edit_id, "after", text("one", "git push --force\n"))
    (run.path / "config.toml").write_text(f'{CONFIG}\n[audit]\nwarning = "block"\n')
    assert reconcile(run) == [edit_id]
    assert run.edit(edit_id).after == text("one", "git push --force\n") and run.edit(edit_id).findings == ()


def test_the_next_decider_is_told_of_the_commit_that_the_log_lacked(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    die(run, "approve", edit_id, "after")
    with pytest.raises(AlreadyDecided, match="approved by ann"):
        reviews.veto(run, edit_id, "bob")


# An error


def test_a_commit_that_could_not_be_logged_is_reported_and_logged_later(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    with full_log(run), pytest.raises(NotLogged) as told:
        reviews.approve(run, edit_id, "ann")
    head = git(run, "rev-parse", "HEAD")
    assert str(told.value).startswith(f"{edit_id} is committed as {head[:10]}; the log could not be written: ")
    assert "no room" in str(told.value) and str(told.value).endswith("; it is logged when the run is opened next")
    assert reconcile(run) == [edit_id] and states(run) == ["committed"]


def test_an_undo_that_could_not_be_logged_is_reported_and_logged_later(run: Run) -> None:
    edit_id = reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann").id
    with full_log(run), pytest.raises(NotLogged, match=f"{edit_id} is undone by the commit .*no room"):
        reviews.undo(run, edit_id, "ann")
    assert reconcile(run) == [edit_id] and states(run) == ["undone"]


def test_the_command_line_says_that_a_decision_is_committed_and_not_logged(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    with full_log(run):
        assert main(["review", str(run.path), "approve", edit_id]) == 1
    assert f"{edit_id} is committed as " in capsys.readouterr().err
    assert main(["review", str(run.path), "list", "--all"]) == 0
    shown = capsys.readouterr()
    assert f"logged now, since the repository has their commits: {edit_id}" in shown.err
    assert f"{edit_id}    approved by" in shown.out


@pytest.mark.parametrize("action", ["approve", "undo"])
def test_a_log_that_cannot_be_written_is_noticed_before_the_commit(run: Run, action: str) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    if action == "undo":
        reviews.approve(run, edit_id, "ann")
    before = states(run), skills(run), commits(run) if action == "undo" else 0
    with Run.open(run.path) as other, other.db.borrow() as connection:
        with run.db.borrow() as mine:
            mine.execute("PRAGMA busy_timeout = 10")
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunError, match="kept locked by another process"):
            getattr(reviews, action)(run, edit_id, "ann")
        connection.execute("ROLLBACK")
    assert (states(run), skills(run), commits(run) if action == "undo" else 0) == before


@pytest.mark.parametrize("action", ["approve", "veto"])
def test_an_edit_that_changed_since_it_was_shown_is_not_decided_on(run: Run, action: str) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    shown = run.edit(edit_id)
    run.append(EditProposed(shown.amended(text("one", "Mine.\n"), "bob"), "amend"))
    with pytest.raises(ReviewError, match=f"{edit_id} has changed since it was shown; nothing was done"):
        getattr(reviews, action)(run, edit_id, "ann", shown=shown)
    assert states(run) == ["pending"] and skills(run) == {}


@pytest.mark.parametrize("action", ["approve", "undo"])
def test_an_error_after_which_the_commit_stands_is_no_failure(
    run: Run, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    if action == "undo":
        reviews.approve(run, edit_id, "ann")
    failing(monkeypatch, "commit" if action == "approve" else "revert", after=True)
    after = getattr(reviews, action)(run, edit_id, "ann")
    assert after == run.edit(edit_id) and after.state == ("committed" if action == "approve" else "undone")
    assert after.decision is not None and git(run, "rev-parse", "HEAD").strip() == after.decision.commit
    assert notices(run)[0].endswith(f" {after.decision.commit[:10]}, but: no permission")


@pytest.mark.parametrize("action", ["approve", "amend", "undo"])
def test_what_failed_is_never_carried_out_later(run: Run, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    edit_id, other = (proposed(run, Insert(name, text(name))) for name in ("one", "two"))
    if action == "undo":
        reviews.approve(run, edit_id, "ann")
    before = run.edit(edit_id), skills(run)
    with monkeypatch.context() as patched:
        failing(patched, "revert" if action == "undo" else "commit", after=False)
        with pytest.raises(
            ReviewError, match=f"{edit_id} could not be .* and (still waits|stays committed): no permission"
        ):
            getattr(reviews, action)(run, edit_id, "ann", *([text("one", "Mine.\n")] if action == "amend" else []))
    assert reconcile(run) == [] and (run.edit(edit_id), skills(run)) == before
    reviews.approve(run, other, "bob")
    assert run.edit(edit_id) == before[0] and skills(run) == {**before[1], "two": text("two")}


def test_a_history_that_cannot_be_read_after_an_error_leaves_it_open_what_happened(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    with monkeypatch.context() as patched:
        failing(patched, "commit", after=True)
        failing(patched, "find", after=False)
        with pytest.raises(NotLogged, match="whether it was committed cannot be read"):
            reviews.approve(run, edit_id, "ann")
    assert reconcile(run) == [edit_id]


def failing(monkeypatch: pytest.MonkeyPatch, method: str, *, after: bool) -> None:
    """A method of the history raises, before or after it did its work."""
    real = getattr(History, method)

    def call(*arguments: Any, **named: Any) -> None:
        if after:
            real(*arguments, **named)
        raise HistoryError("no permission")

    monkeypatch.setattr(History, method, call)


@pytest.mark.parametrize("action", ["requeue", "amend"])
def test_an_edit_that_another_decides_on_while_the_gates_check_it_is_left_to_the_other(
    run: Run, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    edit_id = proposed(run, Insert("one", text("one")), max_pending=1)
    if action == "requeue":
        proposed(run, Insert("two", text("two")), max_pending=1)
    gated, meanwhile = decisions.gated, []

    def slow(*arguments: Any) -> Edit:
        if not meanwhile:
            meanwhile.append(reviews.requeue if action == "requeue" else reviews.veto)
            meanwhile[0](run, edit_id, "bob")
        return gated(*arguments)

    monkeypatch.setattr(decisions, "gated", slow)
    with pytest.raises(ReviewError, match=r"has changed meanwhile|was vetoed by bob"):
        getattr(reviews, action)(run, edit_id, "ann", *([text("one", "Mine.\n")] if action == "amend" else []))
    assert run.edit(edit_id).state == ("pending" if action == "requeue" else "vetoed")


# A lost log


def test_approvals_that_the_log_lost_are_logged_again_in_the_order_of_their_commits(run: Run) -> None:
    names = ("a", "b", "c", "d")
    ids = [proposed(run, Insert(name, text(name))) for name in names]
    with lost_events(run):
        for edit_id in (ids[2], ids[0], ids[3], ids[1]):
            reviews.approve(run, edit_id, "ann")
        reviews.undo(run, ids[0], "bob")
        reviews.requeue(run, ids[0], "bob")
        reviews.approve(run, ids[0], "bob")
    assert states(run) == ["pending"] * 4
    assert reconcile(run) == [ids[2], ids[0], ids[3], ids[1], ids[0], ids[0]]
    assert [run.edit(edit_id).state for edit_id in ids] == ["committed"] * 4
    assert reviews.undo(run, ids[0], "bob").state == "undone"


def test_an_id_that_was_used_again_for_another_edit_is_not_taken_for_the_committed_one(run: Run) -> None:
    with lost_events(run):
        reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann")
    again = proposed(run, Update("one", None, text("one", "Other.\n")))
    assert again == "e1" and reconcile(run) == []
    (notice,) = notices(run)
    assert git(run, "rev-parse", "--short=10", "HEAD").strip() in notice
    assert "e1 was approved by ann" in notice and "e1 in the log is another edit, with another text" in notice
    assert reconcile(run) == [] and len(notices(run)) == 1
    assert reviews.approve(run, again, "bob").state == "committed"


def test_a_commit_of_an_edit_that_the_log_does_not_know_is_one_notice(run: Run) -> None:
    proposed(run, Insert("two", text("two")))
    with lost_events(run):
        reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann")
    assert reconcile(run) == [] and reconcile(run) == []
    (notice,) = notices(run)
    assert "the log has no such edit" in notice


def test_a_commit_of_an_edit_that_was_vetoed_since_is_one_notice(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    with lost_events(run):
        reviews.approve(run, edit_id, "ann")
    git(run, "branch", "away")
    git(run, "reset", "-q", "--hard", "HEAD~1")
    reviews.veto(run, edit_id, "bob")
    git(run, "reset", "-q", "--hard", "away")
    assert reconcile(run) == [] and "the log has e1 as vetoed" in notices(run)[0]
    assert run.edit(edit_id).state == "vetoed"


def test_a_lost_deletion_is_logged_again(run: Run) -> None:
    reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann")
    edit_id = proposed(run, Delete("one"))
    with lost_events(run):
        reviews.approve(run, edit_id, "ann")
    assert reconcile(run) == [edit_id]


def test_the_undo_of_a_commit_that_the_log_does_not_have_is_one_notice(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    first = reviews.approve(run, edit_id, "ann").decision
    assert first is not None
    with lost_events(run):
        reviews.undo(run, edit_id, "ann")
    with run.db.transaction() as connection:
        for table in ("events", "edits"):
            connection.execute(f"UPDATE {table} SET data = replace(data, ?, ?)", (first.commit, "0" * 40))
    assert reconcile(run) == [] and "not by the commit that was reverted" in notices(run)[0]


# Locks and processes


def test_a_list_does_not_wait_long_for_another_decider(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    die(run, "approve", edit_id, "after")
    with file_lock(run.path / DECISIONS_LOCK, 1.0):
        assert main(["review", str(run.path), "list"]) == 0
    shown = capsys.readouterr()
    assert edit_id in shown.out
    assert "the edits are shown as the log has them: nothing was decided: process " in shown.err


def test_what_the_log_lacks_is_counted_without_writing(run: Run) -> None:
    assert unlogged(run) == []
    edit_id = proposed(run, Insert("one", text("one")))
    die(run, "approve", edit_id, "after")
    before = run.last_id()
    assert [commit.trailers["Edit"] for commit in unlogged(run)] == [edit_id] and run.last_id() == before
    reconcile(run)
    assert unlogged(run) == []


def test_where_nothing_is_missing_no_lock_is_taken(run: Run) -> None:
    reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann")
    with file_lock(run.path / DECISIONS_LOCK, 1.0):
        assert reconcile(run, wait=0.0) == []


OPENING = """
import sys
from engine.runs.directory import Run
from skillos_tui.client.decide import reconcile
reconcile(Run.open(sys.argv[1]))
print("pygit2" in sys.modules)
"""


def opened(run: Run) -> str:
    """Compare a run with its history as the workbench does when it opens it; whether git was loaded for that."""
    return subprocess.run(
        [sys.executable, "-c", OPENING, run.path], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()


def test_the_workbench_loads_git_only_where_the_log_may_lack_a_commit(run: Run) -> None:
    assert opened(run) == "False"
    edit_id, other = (proposed(run, Insert(name, text(name))) for name in ("one", "two"))
    assert opened(run) == "False"  # without a history there is no commit
    reviews.approve(run, edit_id, "ann")
    assert opened(run) == "False"
    die(run, "approve", other, "after")
    assert opened(run) == "True" and run.edit(other).state == "committed"
    git(run, "pack-refs", "--all")
    assert opened(run) == "True"
    (run.repo_path / ".git" / "HEAD").write_text("ref: refs/heads/../../../../run.db\n")
    assert may_lack(run)


def test_a_history_that_cannot_be_read_is_told_beside_the_list(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    History.open(run.repo_path)
    (run.repo_path / ".git" / "config").write_text("[core\n")
    assert main(["review", str(run.path), "list"]) == 0
    shown = capsys.readouterr()
    assert edit_id in shown.out and "cannot be compared with the history: " in shown.err


def test_the_lock_of_decisions_is_made_with_the_run_for_its_owner_alone(run: Run) -> None:
    assert (run.path / DECISIONS_LOCK).stat().st_mode & 0o777 == 0o600


def test_a_lock_that_is_held_for_long_is_an_error_that_names_the_holder(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    monkeypatch.setattr("engine.review.journal.LOCK_SECONDS", 0.1)
    with (
        file_lock(run.path / DECISIONS_LOCK, 1.0),
        pytest.raises(ReviewError, match=f"process {os.getpid()} .*; try again"),
    ):
        reviews.veto(run, edit_id, "ann")
    assert states(run) == ["pending"]


def test_a_link_in_the_place_of_the_lock_is_not_followed(run: Run, tmp_path: Path) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    (run.path / DECISIONS_LOCK).unlink(missing_ok=True)
    (run.path / DECISIONS_LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ReviewError, match=r"decisions.lock cannot be locked: it is a symbolic link$"):
        reviews.veto(run, edit_id, "ann")
    assert not (tmp_path / "elsewhere").exists()


def test_a_run_that_was_removed_is_not_made_again(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    shutil.rmtree(run.path)
    with pytest.raises(RunError):
        reviews.veto(run, edit_id, "ann")
    assert not run.path.exists()


def test_a_veto_needs_no_history(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    History.open(run.repo_path)
    (run.repo_path / ".git" / "config").write_text("[core\n")
    with pytest.raises(ReviewError, match="nothing was decided: "):
        reviews.approve(run, edit_id, "ann")
    assert reviews.veto(run, edit_id, "ann").state == "vetoed"


def test_a_long_reason_is_whole_in_the_commit_and_in_the_log(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    reason = "because " * 400 + "\nof this"
    decision = reviews.approve(run, edit_id, "ann", reason).decision
    assert decision is not None and decision.reason == reason
    commit = History.open(run.repo_path).find("Decision", decision.token)
    assert commit is not None and reason.strip() in commit.message and commit.trailers["Action"] == "approve"


def test_events_of_a_decision_are_one_transaction(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one", "Vague.\n")))
    with full_log(run), pytest.raises(NotLogged):
        reviews.amend(run, edit_id, "ann", text("one", "Exact.\n"))
    assert run.edit(edit_id).after == text("one", "Vague.\n")
    assert reconcile(run) == [edit_id]
    events = [stored.event for stored in run.events(kinds=["edit_proposed", "edit_decided"])]
    assert [type(event) for event in events] == [EditProposed, EditProposed, EditDecided]
    assert commits(run) == 2
