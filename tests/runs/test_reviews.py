"""The review queue: only what was approved is written, each decision is taken once, and no crash cuts one in half."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.core.events import EditDecided, PositionId, ProposalsWithheld
from engine.core.outcomes import FAILED, SUCCEEDED
from engine.review import decisions as reviews
from engine.review.decisions import AlreadyDecided, ReviewError
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.skills import Delete, Insert, Operation, Skill, SkillRepo, Update
from tests.runs.engines import ROOT


def text(name: str, body: str = "Mugs are in the safe.\n") -> str:
    return Skill.make(name, f"Use when {name} is wanted.", body).text


def propose(run: Run, operation: Operation, **more: object) -> str | None:
    given: dict[str, object] = {"task": "task-1", "outcome": SUCCEEDED, "reason": "seen to work", "proposer": "curator"}
    with run.writer() as writer:
        return reviews.propose(run, writer, operation, at=PositionId(step=2), **{**given, **more})  # type: ignore[arg-type]


def proposed(run: Run, operation: Operation) -> str:
    edit_id = propose(run, operation)
    assert edit_id is not None
    return edit_id


def skills(run: Run) -> dict[str, str]:
    return SkillRepo.open(run.repo_path).texts()


def git(run: Run, *arguments: str) -> str:
    command = ["git", "-c", "safe.directory=*", "-C", str(run.repo_path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def commits(run: Run) -> int:
    return int(git(run, "rev-list", "--count", "--all"))


def withheld(run: Run) -> list[str]:
    events = [stored.event for stored in run.events(kinds=["proposals_withheld"])]
    return [event.reason for event in events if isinstance(event, ProposalsWithheld)]


# Proposing


def test_a_proposal_waits_and_writes_nothing(run: Run) -> None:
    edit_id = proposed(run, Insert("find-mugs", text("find-mugs")))
    (record,) = reviews.pending(run)
    assert (record.id, record.state, record.proposal.operation) == (edit_id, "pending", "insert")
    assert (record.proposal.before, record.proposal.after) == (None, text("find-mugs"))
    assert (record.proposal.outcome, record.proposal.reason) == (SUCCEEDED, "seen to work")
    assert skills(run) == {}


def test_what_the_checks_find_is_shown_beside_the_edit(run: Run) -> None:
    odd = text("find-mugs").replace("---\n", "---\ncolour: blue\n", 1)
    record = run.edit(proposed(run, Insert("find-mugs", odd)))
    assert len(record.proposal.checks) == 1 and "colour" in record.proposal.checks[0]


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (Delete("absent"), "no skill 'absent'"),
        (Insert("../outside", "x"), "does not apply"),
        (Insert("find-mugs", "no frontmatter"), "does not apply"),
    ],
)
def test_what_does_not_apply_is_withheld_and_said(run: Run, operation: Operation, why: str) -> None:
    assert propose(run, operation) is None
    assert len(withheld(run)) == 1 and why in withheld(run)[0]
    assert run.edits() == []


def test_the_same_edit_is_not_asked_twice(run: Run) -> None:
    first = proposed(run, Insert("find-mugs", text("find-mugs")))
    assert propose(run, Insert("find-mugs", text("find-mugs"))) is None
    reviews.veto(run, first, "ann", "wrong place")
    assert propose(run, Insert("find-mugs", text("find-mugs"))) is None
    assert withheld(run) == [f"the same edit waits already: {first}", f"the same edit was vetoed: {first}"]
    assert propose(run, Insert("find-mugs", text("find-mugs", "Look in the fridge.\n"))) is not None


# Deciding


def test_an_approved_edit_is_one_commit_that_says_who_and_why(run: Run) -> None:
    edit_id = proposed(run, Insert("find-mugs", text("find-mugs")))
    record = reviews.approve(run, edit_id, "ann")
    assert record.state == "approved" and record.decision is not None
    assert skills(run) == {"find-mugs": text("find-mugs")}
    assert git(run, "rev-parse", "HEAD").strip() == record.decision.commit
    shown = git(run, "log", "-1", "--format=%(trailers)")
    for line in (f"Run: {run.id}", "Step: 2", "Trajectory: group 0 rollout 0 position 1", "Task: task-1",
                 "Outcome: succeeded", f"Edit: {edit_id}", "Proposer: curator",
                 "Reason: seen to work", "Reviewer: ann"):  # fmt: skip
        assert line in shown.splitlines()
    assert git(run, "status", "--porcelain") == ""


def test_a_reason_cannot_pose_as_a_trailer(run: Run) -> None:
    edit_id = propose(run, Insert("find-mugs", text("find-mugs")), reason="good\nReviewer: the boss\n\nRun: other")
    reviews.approve(run, str(edit_id), "ann")
    shown = git(run, "log", "-1", "--format=%(trailers:key=Reviewer,valueonly)")
    assert shown.split() == ["ann"]


def test_each_edit_of_a_skill_is_a_commit_of_its_own(run: Run) -> None:
    for operation in (
        Insert("find-mugs", text("find-mugs")),
        Update("find-mugs", None, text("find-mugs", "Look in the fridge.\n")),
        Update("find-mugs", "find-cups", text("find-cups")),
        Delete("find-cups"),
    ):
        before = commits(run) if (run.repo_path / ".git").exists() else 0
        assert reviews.approve(run, proposed(run, operation), "ann").state == "approved"
        assert commits(run) >= before + 1
    assert skills(run) == {}


def test_a_vetoed_edit_is_not_written_and_is_remembered_with_its_reason(run: Run) -> None:
    first, second = proposed(run, Insert("one", text("one"))), proposed(run, Insert("two", text("two")))
    reviews.veto(run, first, "ann", "names an instance")
    reviews.veto(run, second, "bob", "too long")
    assert skills(run) == {}
    quoted = reviews.vetoed(run, limit=1)
    assert [(r.id, r.decision.reason) for r in quoted if r.decision] == [(second, "too long")]
    assert [r.id for r in reviews.vetoed(run, limit=9)] == [second, first]


def test_a_decision_is_taken_once_and_the_second_is_told_who_was_first(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    reviews.approve(run, edit_id, "ann")
    with pytest.raises(AlreadyDecided, match=rf"{edit_id} was approved by ann at \d{{4}}-"):
        reviews.veto(run, edit_id, "bob")
    with pytest.raises(AlreadyDecided, match="by ann"):
        reviews.approve(run, edit_id, "bob")
    assert len(run.events(kinds=["edit_decided"])) == 1


def test_of_many_deciders_at_the_same_moment_one_wins(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    told: list[str] = []
    ready = threading.Barrier(6)

    def decide(name: str) -> None:
        with Run.open(run.path) as mine:
            ready.wait()
            try:
                if int(name) % 2:
                    reviews.approve(mine, edit_id, name)
                else:
                    reviews.veto(mine, edit_id, name)
                told.append("won")
            except AlreadyDecided as late:
                told.append(str(late))

    threads = [threading.Thread(target=decide, args=(str(n),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    decision = run.edit(edit_id).decision
    assert decision is not None and told.count("won") == 1 and len(told) == 6
    assert all(f"by {decision.by} at" in line for line in told if line != "won")
    assert (skills(run) == {}) == (decision.decision == "vetoed")


def test_an_unknown_edit_is_an_error(run: Run) -> None:
    with pytest.raises(RunError, match="no edit 'e7'"):
        reviews.approve(run, "e7", "ann")


# Taking back


def test_undoing_an_approval_is_a_commit_that_takes_the_text_back(run: Run) -> None:
    approved = reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann")
    count = commits(run)
    record = reviews.undo(run, approved.id, "bob")
    assert record.state == "undone" and record.decision is not None and record.decision.by == "bob"
    assert skills(run) == {} and commits(run) == count + 1
    assert git(run, "rev-parse", "HEAD").strip() == record.decision.commit
    with pytest.raises(AlreadyDecided, match="undone by bob"):
        reviews.undo(run, approved.id, "ann")


def test_undoing_a_veto_asks_again(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    reviews.veto(run, edit_id, "ann", "hm")
    assert reviews.undo(run, edit_id, "ann").state == "pending"
    assert reviews.vetoed(run, limit=5) == []
    with pytest.raises(ReviewError, match="no decision to undo"):
        reviews.undo(run, edit_id, "ann")
    assert reviews.approve(run, edit_id, "ann").state == "approved"


def test_an_approval_whose_skill_changed_since_is_not_undone(run: Run) -> None:
    first = reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann")
    reviews.approve(run, proposed(run, Update("one", None, text("one", "Better.\n"))), "ann")
    with pytest.raises(ReviewError, match="changed since"):
        reviews.undo(run, first.id, "ann")
    assert run.edit(first.id).state == "approved" and skills(run) == {"one": text("one", "Better.\n")}


# Conflicts


def test_what_changed_since_is_never_overwritten_and_can_be_asked_again(run: Run) -> None:
    first = proposed(run, Insert("one", text("one", "First.\n")))
    second = proposed(run, Insert("one", text("one", "Second.\n")))
    reviews.approve(run, first, "ann")
    record = reviews.approve(run, second, "ann")
    assert record.state == "conflicted" and skills(run) == {"one": text("one", "First.\n")}
    assert "-First." in reviews.diff(run, second) and "+Second." in reviews.diff(run, second)
    with pytest.raises(ReviewError, match="ask again"):
        reviews.approve(run, second, "ann")
    again = reviews.requeue(run, second, "ann")
    assert (again.state, again.proposal.operation, again.proposal.before) == (
        "pending",
        "update",
        text("one", "First.\n"),
    )
    assert reviews.approve(run, second, "ann").state == "approved"
    assert skills(run) == {"one": text("one", "Second.\n")}


def test_the_present_text_is_read_without_the_rest_of_the_repository(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = run.edit(proposed(run, Insert("one", text("one")))).proposal
    assert reviews.present_text(run, proposal) is None
    reviews.approve(run, proposal.edit, "ann")
    monkeypatch.delattr(SkillRepo, "open")
    assert reviews.present_text(run, proposal) == text("one")


def test_a_file_changed_by_hand_is_a_conflict(run: Run) -> None:
    reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann")
    edit_id = proposed(run, Delete("one"))
    (run.repo_path / "one" / "SKILL.md").write_text(text("one", "By hand.\n"))
    assert reviews.approve(run, edit_id, "ann").state == "conflicted"
    assert skills(run) == {"one": text("one", "By hand.\n")}
    reviews.veto(run, edit_id, "ann", "keep mine")
    assert reviews.vetoed(run, limit=1)[0].id == edit_id


def test_only_conflicted_and_undone_edits_are_asked_again(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    with pytest.raises(ReviewError, match="is pending"):
        reviews.requeue(run, edit_id, "ann")
    reviews.approve(run, edit_id, "ann")
    reviews.undo(run, edit_id, "ann")
    assert reviews.requeue(run, edit_id, "ann").state == "pending"


# Crashes


DYING = """
import os, signal, sys
from engine.review import decisions as reviews
from engine.runs.directory import Run
from engine.skills.history.history import History

def dying(real, moment):
    def call(*arguments, **named):
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        real(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    return call

path, action, edit, moment = sys.argv[1:]
History.commit = dying(History.commit, moment)
History.revert = dying(History.revert, moment)
if action == "veto":
    reviews._finish = dying(reviews._finish, moment)
getattr(reviews, action)(Run.open(path), edit, "ann")
"""


def die(run: Run, action: str, edit_id: str, moment: str) -> None:
    """Take a decision in a process that is killed by SIGKILL just before or just after it is carried out."""
    command = [sys.executable, "-c", DYING, str(run.path), action, edit_id, moment]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_approval_cut_off_by_a_crash_is_finished_once(run: Run, moment: str) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    die(run, "approve", edit_id, moment)
    assert run.edit(edit_id).state == "pending"
    assert reviews.recover(run) == [edit_id] and reviews.recover(run) == []
    decision = run.edit(edit_id).decision
    assert decision is not None and (decision.decision, decision.by) == ("approved", "ann")
    assert skills(run) == {"one": text("one")}
    assert git(run, "rev-parse", "HEAD").strip() == decision.commit
    assert git(run, "log", "--format=%(trailers:key=Edit,valueonly)").split() == [edit_id]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_undo_cut_off_by_a_crash_is_finished_once(run: Run, moment: str) -> None:
    edit_id = reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann").id
    count = commits(run)
    die(run, "undo", edit_id, moment)
    reviews.recover(run)
    assert run.edit(edit_id).state == "undone" and skills(run) == {} and commits(run) == count + 1


def test_a_veto_cut_off_by_a_crash_is_finished(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    die(run, "veto", edit_id, "before")
    assert reviews.recover(run) == [edit_id]
    assert run.edit(edit_id).state == "vetoed" and skills(run) == {}


def test_the_next_decider_finishes_what_a_crash_left_and_is_told(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    die(run, "approve", edit_id, "before")
    with pytest.raises(AlreadyDecided, match="approved by ann"):
        reviews.veto(run, edit_id, "bob")


def test_an_approval_cut_off_whose_file_changed_meanwhile_is_a_conflict(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    die(run, "approve", edit_id, "before")
    (run.repo_path / "one").mkdir()
    (run.repo_path / "one" / "SKILL.md").write_text(text("one", "By hand.\n"))
    reviews.recover(run)
    assert run.edit(edit_id).state == "conflicted" and skills(run) == {"one": text("one", "By hand.\n")}


# The repository


def test_a_repository_that_cannot_be_written_leaves_the_edit_waiting(run: Run, tmp_path: Path) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    run.repo_path.rename(tmp_path / "moved")
    run.repo_path.write_text("in the way")
    with pytest.raises(ReviewError):
        reviews.approve(run, edit_id, "ann")
    run.repo_path.unlink()
    (tmp_path / "moved").rename(run.repo_path)
    assert run.edit(edit_id).state == "pending"
    assert reviews.approve(run, edit_id, "ann").state == "approved"


def test_a_broken_skill_in_the_repository_keeps_nothing_from_being_decided(run: Run) -> None:
    (run.repo_path / "broken").mkdir()
    (run.repo_path / "broken" / "SKILL.md").write_bytes(b"---\n: [\xff\n")
    edit_id = proposed(run, Insert("one", text("one")))
    assert reviews.approve(run, edit_id, "ann").state == "approved"
    assert (run.repo_path / "broken" / "SKILL.md").read_bytes() == b"---\n: [\xff\n"


def test_the_outcome_that_caused_an_edit_is_kept_as_it_was(run: Run) -> None:
    edit_id = propose(run, Insert("one", text("one")), outcome=FAILED)
    reviews.veto(run, str(edit_id), "ann")
    assert run.edit(str(edit_id)).proposal.outcome == FAILED
    assert isinstance(run.events(kinds=["edit_decided"])[0].event, EditDecided)
