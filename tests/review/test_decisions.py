"""The review queue: only what was approved is written, each decision is taken once, and no crash cuts one in half."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from engine.core.edit import Decision
from engine.core.events import EditDecided
from engine.core.outcomes import FAILED, SUCCEEDED
from engine.review import decisions as reviews
from engine.review.diff import diff, present_text
from engine.review.errors import AlreadyDecided, ReviewError
from engine.review.queue import pending, vetoed
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.skills import Delete, Insert, Operation, SkillRepo, Update
from tests.review.proposing import commits, git, propose, proposed, skills, text, withheld

# Proposing


def test_a_proposal_waits_and_writes_nothing(run: Run) -> None:
    edit_id = proposed(run, Insert("find-mugs", text("find-mugs")))
    (record,) = pending(run)
    assert (record.id, record.state, record.operation) == (edit_id, "pending", "insert")
    assert (record.before, record.after) == (None, text("find-mugs"))
    assert (record.provenance.outcome, record.provenance.reason) == (SUCCEEDED, "seen to work")
    assert skills(run) == {}


def test_what_the_checks_find_is_shown_beside_the_edit(run: Run) -> None:
    odd = text("find-mugs").replace("---\n", "---\ncolour: blue\n", 1)
    record = run.edit(proposed(run, Insert("find-mugs", odd)))
    assert len(record.findings) == 1 and "colour" in record.findings[0].message and record.findings[0].line == 2


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
    assert withheld(run) == [f"the same edit {how}: {first}" for how in ("waits already", "was vetoed")]
    assert propose(run, Insert("find-mugs", text("find-mugs", "Look in the fridge.\n"))) is not None


# Deciding


def test_an_approved_edit_is_one_commit_that_says_who_and_why(run: Run) -> None:
    edit_id = proposed(run, Insert("find-mugs", text("find-mugs")))
    record = reviews.approve(run, edit_id, "ann")
    assert record.state == "committed" and record.decision is not None
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
        assert reviews.approve(run, proposed(run, operation), "ann").state == "committed"
        assert commits(run) >= before + 1
    assert skills(run) == {}


def test_a_vetoed_edit_is_not_written_and_is_remembered_with_its_reason(run: Run) -> None:
    first, second = proposed(run, Insert("one", text("one"))), proposed(run, Insert("two", text("two")))
    reviews.veto(run, first, "ann", "names an instance")
    reviews.veto(run, second, "bob", "too long")
    assert skills(run) == {}
    quoted = vetoed(run, limit=1)
    assert [(r.id, r.decision.reason) for r in quoted if r.decision] == [(second, "too long")]
    assert [r.id for r in vetoed(run, limit=9)] == [second, first]


def test_the_newest_vetoes_are_those_at_the_end_of_the_log_whatever_the_clock_said(run: Run) -> None:
    names = ("one", "two", "three")
    first, second, third = (proposed(run, Insert(name, text(name))) for name in names)
    for edit_id, at in ((second, 3e9), (first, 1e9), (third, 2e9)):
        run.append(EditDecided(edit_id, Decision("veto", "ann", time=at)))
    assert [edit.id for edit in vetoed(run, limit=2)] == [third, first]


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
    assert (skills(run) == {}) == (decision.action == "veto")


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
    assert vetoed(run, limit=5) == []
    with pytest.raises(ReviewError, match="no decision to undo"):
        reviews.undo(run, edit_id, "ann")
    assert reviews.approve(run, edit_id, "ann").state == "committed"


def test_an_approval_whose_skill_changed_since_is_not_undone(run: Run) -> None:
    first = reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann")
    reviews.approve(run, proposed(run, Update("one", None, text("one", "Better.\n"))), "ann")
    with pytest.raises(ReviewError, match="changed since"):
        reviews.undo(run, first.id, "ann")
    assert run.edit(first.id).state == "committed" and skills(run) == {"one": text("one", "Better.\n")}


# Conflicts


def test_what_changed_since_is_never_overwritten_and_can_be_asked_again(run: Run) -> None:
    first = proposed(run, Insert("one", text("one", "First.\n")))
    second = proposed(run, Insert("one", text("one", "Second.\n")))
    reviews.approve(run, first, "ann")
    record = reviews.approve(run, second, "ann")
    assert record.state == "conflicted" and skills(run) == {"one": text("one", "First.\n")}
    assert "-First." in diff(run, second) and "+Second." in diff(run, second)
    with pytest.raises(ReviewError, match="queue it again"):
        reviews.approve(run, second, "ann")
    again = reviews.requeue(run, second, "ann")
    assert (again.state, again.operation, again.before) == (
        "pending",
        "update",
        text("one", "First.\n"),
    )
    assert reviews.approve(run, second, "ann").state == "committed"
    assert skills(run) == {"one": text("one", "Second.\n")}


def test_the_present_text_is_read_without_the_rest_of_the_repository(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = run.edit(proposed(run, Insert("one", text("one"))))
    assert present_text(run, proposal) is None
    reviews.approve(run, proposal.id, "ann")
    monkeypatch.delattr(SkillRepo, "open")
    assert present_text(run, proposal) == text("one")


def test_a_file_changed_by_hand_is_a_conflict(run: Run) -> None:
    reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann")
    edit_id = proposed(run, Delete("one"))
    (run.repo_path / "one" / "SKILL.md").write_text(text("one", "By hand.\n"))
    assert reviews.approve(run, edit_id, "ann").state == "conflicted"
    assert skills(run) == {"one": text("one", "By hand.\n")}
    reviews.veto(run, edit_id, "ann", "keep mine")
    assert vetoed(run, limit=1)[0].id == edit_id


def test_only_conflicted_and_undone_edits_are_asked_again(run: Run) -> None:
    edit_id = proposed(run, Insert("one", text("one")))
    with pytest.raises(ReviewError, match="is pending"):
        reviews.requeue(run, edit_id, "ann")
    reviews.approve(run, edit_id, "ann")
    reviews.undo(run, edit_id, "ann")
    assert reviews.requeue(run, edit_id, "ann").state == "pending"


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
    assert reviews.approve(run, edit_id, "ann").state == "committed"


def test_a_broken_skill_in_the_repository_keeps_nothing_from_being_decided(run: Run) -> None:
    (run.repo_path / "broken").mkdir()
    (run.repo_path / "broken" / "SKILL.md").write_bytes(b"---\n: [\xff\n")
    edit_id = proposed(run, Insert("one", text("one")))
    assert reviews.approve(run, edit_id, "ann").state == "committed"
    assert (run.repo_path / "broken" / "SKILL.md").read_bytes() == b"---\n: [\xff\n"


def test_the_outcome_that_caused_an_edit_is_kept_as_it_was(run: Run) -> None:
    edit_id = propose(run, Insert("one", text("one")), outcome=FAILED)
    reviews.veto(run, str(edit_id), "ann")
    assert run.edit(str(edit_id)).provenance.outcome == FAILED
    assert isinstance(run.events(kinds=["edit_decided"])[0].event, EditDecided)
