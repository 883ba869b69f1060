"""The dialog of a veto is bound to its edit: what changes meanwhile is said, nothing else is vetoed, the text is kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import Input

from engine.review import decisions as reviews
from engine.review.queue import QUEUE
from engine.runs.directory import Run
from skillos_tui.model.session import Session
from skillos_tui.screens.reason.screen import ReasonScreen
from skillos_tui.screens.review.screen import ReviewScreen
from tests.workbench.recording import decision, proposal
from tests.workbench.reviewing import bottom, decided, decisions, pane, reason, review, skill_of, title, waiting_run
from tests.workbench.stage import at_once, seconds, until


def superseded(run: Run) -> None:
    run.append(decision("e0", "supersede", QUEUE, "e9 took its place"))


def superseded_and_forgotten(run: Run) -> None:
    names = [f"x{at}" for at in range(25)]
    run.append(*(proposal(at + 50, 0, edit=name) for at, name in enumerate(names)))
    run.append(*(decision(name, "supersede", QUEUE, "") for name in ("e0", *names)))


def conflicted(run: Run) -> None:
    run.append(decision("e0", "conflict", "bob", "the file has changed"))


def asked_again(run: Run) -> None:
    run.append(proposal(9, 1, edit="e0", action="amend"))


def amended(run: Run) -> None:
    text = run.edit("e0").after
    assert text is not None
    reviews.amend(run, "e0", "bob", text + "\nMore.\n")


ELSEWHERE: dict[str, tuple[Callable[[Run], object], str]] = {
    "approved": (lambda run: reviews.approve(run, "e0", "bob"), "was approved by bob"),
    "vetoed": (lambda run: reviews.veto(run, "e0", "bob", "mine"), "was vetoed by bob"),
    "amended": (amended, "was approved by bob"),
    "superseded": (superseded, "was superseded by the queue's"),
    "forgotten": (superseded_and_forgotten, "superseded this one"),
    "conflicted": (conflicted, "was conflicted by bob"),
    "asked again": (asked_again, "was queued again"),
    "lost": (lambda run: (run.close(), shutil.rmtree(run.path)), "The run cannot be read any more."),
}


@pytest.mark.parametrize(("what", "size"), [*((what, (120, 40)) for what in ELSEWHERE), ("approved", (80, 24))])
async def test_a_change_of_the_edit_is_shown_and_enter_does_nothing(
    tmp_path: Path, what: str, size: tuple[int, int]
) -> None:
    run = waiting_run(tmp_path / "run")
    change, said = ELSEWHERE[what]
    session = Session(tmp_path / "state")
    async with review(run, size=size, session=session) as pilot:
        await pilot.press("v")
        at_once(pilot, *"too vague")
        await until(pilot, "too vague")
        change(run)
        dialog = pilot.app.screen
        assert isinstance(dialog, ReasonScreen)
        await until(pilot, lambda: said in dialog.changed)
        await until(pilot, "your text is kept")
        await pilot.press("enter", "enter")
        assert pilot.app.screen is dialog and dialog.query_one(Input).value == "too vague"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReviewScreen))
        await seconds(pilot, 0.5)
        if what != "lost":
            assert not [event for event in decisions(run) if event.decision.by not in ("bob", QUEUE)]
            assert run.edit("e1").state == run.edit("e2").state == "pending"
        assert Session.load(tmp_path / "state").draft(run.path, "e0") == "too vague"
        assert pilot.app.is_running


async def test_a_reason_that_was_not_sent_is_shown_with_the_edit(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run, size=(80, 24)) as pilot:
        await pilot.press("v")
        at_once(pilot, *"too vague")
        reviews.approve(run, "e0", "bob")
        await until(pilot, "your text is kept")
        await pilot.press("escape")
        await until(pilot, "not sent  too vague")


async def test_an_edit_that_was_put_anew_can_be_vetoed_with_the_text_that_was_kept(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        await pilot.press("v")
        at_once(pilot, *"too vague")
        asked_again(run)
        await until(pilot, "your text is kept")
        await pilot.press("escape")
        await seconds(pilot, 1)
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReasonScreen))
        assert pilot.app.screen.query_one(Input).value == "too vague"
        await pilot.press("enter")
        await until(pilot, lambda: decided(run) == {"e0": "vetoed"})
        assert reason(run, "e0") == "too vague"


async def test_a_veto_that_is_second_keeps_its_text(tmp_path: Path) -> None:
    """The other decision is in the log, and the screen does not know yet."""
    run = waiting_run(tmp_path / "run")
    session = Session(tmp_path / "state")
    async with review(run, session=session) as pilot:
        await pilot.press("v")
        at_once(pilot, *"too vague")
        await until(pilot, "too vague")
        reviews.approve(run, "e0", "bob")
        at_once(pilot, "enter")
        await until(pilot, "was approved by bob")
        assert decided(run) == {"e0": "committed"}
        assert Session.load(tmp_path / "state").draft(run.path, "e0") == "too vague"


async def test_each_key_is_on_the_disk_and_restored_after_a_restart(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    state = tmp_path / "state"
    async with review(run, session=Session.load(state)) as pilot:
        await pilot.press("v")
        await until(pilot, "Veto the edit")
        for at, char in enumerate("no use", 1):
            await pilot.press("space" if char == " " else char)
            assert Session.load(state).draft(run.path, "e0") == "no use"[:at]
        # the program ends here, with the dialog open
    async with review(run, session=Session.load(state)) as pilot:
        await pilot.press("n", "v")
        await until(pilot, "Veto the edit")
        assert pilot.app.screen.query_one(Input).value == ""
        await pilot.press("escape", "p", "v")
        await until(pilot, "no use")
        at_once(pilot, *" at all", "enter")
        await until(pilot, lambda: decided(run) == {"e0": "vetoed"})
        assert reason(run, "e0") == "no use at all"
        await until(pilot, lambda: Session.load(state).draft(run.path, "e0") == "")


async def test_escape_keeps_the_text_and_an_empty_one_is_dropped(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    state = tmp_path / "state"
    async with review(run, session=Session.load(state)) as pilot:
        await pilot.press("v", "n", "o", "escape")
        await until(pilot, "not sent  no")
        await pilot.press("v", "backspace", "backspace", "escape")
        await until(pilot, lambda: "not sent" not in pane(pilot, "why"))
        assert Session.load(state).draft(run.path, "e0") == ""


async def test_a_veto_that_the_disk_refuses_keeps_its_text(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run, session=Session(tmp_path / "state")) as pilot:
        await pilot.press("v")
        at_once(pilot, *"too vague")
        await until(pilot, "too vague")
        with run.db.transaction() as connection:
            connection.execute("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no room'); END")
        await pilot.press("enter")
        await until(pilot, lambda: "no room" in bottom(pilot))
        assert decided(run) == {}
        assert Session.load(tmp_path / "state").draft(run.path, "e0") == "too vague"
        with run.db.transaction() as connection:
            connection.execute("DROP TRIGGER full")
        await pilot.press("[")
        await until(pilot, "No decision has been taken here yet.")
        while skill_of(run, "e0") not in title(pilot):
            await pilot.press("p")
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReasonScreen))
        await pilot.press("enter")
        await until(pilot, lambda: decided(run) == {"e0": "vetoed"} and reason(run, "e0") == "too vague")


async def test_keys_typed_behind_enter_do_not_decide_on_the_next_edit(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        at_once(pilot, "v", "n", "o", "enter", "a", "a", "enter", "escape")
        await until(pilot, lambda: decided(run) == {"e0": "vetoed"})
        await seconds(pilot, 1)
        assert decided(run) == {"e0": "vetoed"} and reason(run, "e0") == "no"
        await pilot.press("n", "n")
        await until(pilot, lambda: "vetoed by" in pane(pilot, "why"))
        assert "not sent" not in pane(pilot, "why")


async def test_keys_typed_behind_escape_are_no_part_of_the_text(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        at_once(pilot, "v", "n", "o", "escape", "a", "enter")
        await until(pilot, "not sent  no")
        await seconds(pilot, 0.5)
        assert "not sent  no " in f"{pane(pilot, 'why').splitlines()[0]} "
        assert set(decided(run).values()) <= {"committed"}


async def test_the_text_of_another_run_s_edit_is_not_mixed_up(tmp_path: Path) -> None:
    session = Session(tmp_path / "state")
    for name in ("one", "two"):
        run = waiting_run(tmp_path / name)
        async with review(run, session=session) as pilot:
            await pilot.press("v")
            await until(pilot, "Veto the edit")
            assert pilot.app.screen.query_one(Input).value == ""
            await pilot.press(*name)
    assert [session.draft(tmp_path / name, "e0") for name in ("one", "two")] == ["one", "two"]


async def test_editing_keys_of_one_burst_act_in_their_order(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReasonScreen))
        at_once(pilot, *"abcd", "backspace", *"xyz", "left", "X", "enter")
        await until(pilot, lambda: reason(run, "e0") == "abcxyXz")
