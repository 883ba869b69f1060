"""Review under fast and clumsy hands: a key decides on what was on the screen, or says why not and drops what follows."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from engine.review import decisions as reviews
from engine.review.queue import QUEUE
from skillos_tui.app import SkillosApp
from skillos_tui.client import client
from skillos_tui.model.keyguard import UNREAD_SECONDS
from skillos_tui.model.session import Place, Session
from skillos_tui.screens.review.screen import REASON_PAUSE_SECONDS, ReviewScreen
from tests.workbench.recording import decision, proposal
from tests.workbench.reviewing import (
    bottom,
    decided,
    decisions,
    empty_run,
    pane,
    review,
    skill_of,
    title,
    waiting_run,
)
from tests.workbench.stage import at_once, on_screen, seconds, until, workbench


async def test_a_fast_reviewer_approves_what_was_on_the_screen(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        await pilot.press("a", "a", "a")
        await until(pilot, lambda: decided(run) == {"e0": "committed", "e1": "committed", "e2": "committed"})
        assert [decision.edit for decision in decisions(run)] == ["e0", "e1", "e2"]


async def test_keys_typed_ahead_decide_on_nothing_that_was_not_there(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·3")
        at_once(pilot, "r", "a", "a", "v", "u")
        await until(pilot, "on the screen yet")
        await seconds(pilot, 1)
        assert decided(run) == {} and isinstance(pilot.app.screen, ReviewScreen)
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e0": "committed"})


async def test_of_keys_in_one_go_only_the_first_decides(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        at_once(pilot, "a", "a", "a")
        await until(pilot, lambda: decided(run) == {"e0": "committed"})
        await seconds(pilot, 1)
        assert decided(run) == {"e0": "committed"}


async def test_the_palette_decides_on_the_edit_under_it(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        await pilot.press("ctrl+p")
        await until(pilot, "Search")
        at_once(pilot, *"approve")
        await until(pilot, "Approve and commit")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: decided(run) == {"e0": "committed"})


async def test_keys_keep_their_order_when_the_cursor_moves(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        await pilot.press("tab", "tab", "tab")
        at_once(pilot, "j", "a")
        await until(pilot, "on the screen yet")
        await seconds(pilot, 1)
        assert decided(run) == {}
        assert skill_of(run, "e1") in title(pilot)


async def test_a_reason_typed_behind_v_goes_into_the_dialog(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        at_once(pilot, "v", *"a vague quip")
        await until(pilot, "a vague quip")
        await pilot.press("enter")
        await until(pilot, lambda: decided(run) == {"e0": "vetoed"})
        (event,) = decisions(run)
        assert event.decision.reason == "a vague quip"


@pytest.mark.parametrize("size", [(80, 24), (60, 16)])
async def test_a_reason_typed_where_nothing_can_be_vetoed_is_dropped(tmp_path: Path, size: tuple[int, int]) -> None:
    run = waiting_run(tmp_path / "run")
    reviews.approve(run, "e2", "bob")
    async with review(run, size=size) as pilot:
        await pilot.press("n", "n")
        await until(pilot, lambda: skill_of(run, "e2") in title(pilot))
        await pilot.press("v")
        await until(pilot, "This edit is committed; u reverts its commit")
        at_once(pilot, *"u are a vague quip", "enter")
        await until(pilot, lambda: "keys ignored" in bottom(pilot))
        assert decided(run) == {"e2": "committed"} and skill_of(run, "e2") in title(pilot)
        await seconds(pilot, REASON_PAUSE_SECONDS + 0.1)
        await pilot.press("p")
        await until(pilot, lambda: skill_of(run, "e1") in title(pilot) and "ignored" not in bottom(pilot))
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e1": "committed", "e2": "committed"})


async def test_escape_ends_the_ignoring(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 1)
    async with review(run) as pilot:
        await pilot.press("u")
        await until(pilot, "Nothing to undo: this edit is pending;")
        await pilot.press("escape", "a")
        await until(pilot, lambda: decided(run) == {"e0": "committed"})
        assert isinstance(pilot.app.screen, ReviewScreen)


@pytest.mark.parametrize("key", ["a", "v", "u"])
async def test_a_key_without_an_edit_is_answered(tmp_path: Path, key: str) -> None:
    run = empty_run(tmp_path / "run")
    async with workbench(run.path) as pilot:
        await until(pilot, "repository")
        await pilot.press("r", key)
        await until(pilot, "There is no edit to decide on.")
        run.append(proposal(1, 0, edit="e0"))
        at_once(pilot, *"a bad idea")
        await until(pilot, "insert · find-")
        assert decided(run) == {}


async def test_a_key_on_a_lost_run_is_answered(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        run.close()
        shutil.rmtree(run.path)
        await until(pilot, "cannot be read")
        for key in ("a", "v", "u"):
            await pilot.press(key)
            await until(pilot, "The run cannot be read any more; nothing can be decided.")
            await pilot.press("escape", "tab")


async def test_the_first_edit_that_arrives_is_not_decided_by_an_earlier_key(tmp_path: Path) -> None:
    run = empty_run(tmp_path / "run")
    async with workbench(run.path) as pilot:
        await until(pilot, "repository")
        await pilot.press("r")
        await until(pilot, "No edit has been proposed yet.")
        run.append(proposal(1, 0, edit="e0"), proposal(2, 0, edit="e1"))
        await until(pilot, "insert · find-")
        await pilot.press("v")
        await until(pilot, "look at it first")
        at_once(pilot, *"a bad one")
        await seconds(pilot, REASON_PAUSE_SECONDS + 0.1)
        assert decided(run) == {}
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e0": "committed"})


async def test_an_edit_that_takes_the_place_of_a_superseded_one_is_not_under_a_key(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 23)
    async with review(run) as pilot:
        run.append(*(decision(f"e{at}", "supersede", QUEUE, "room") for at in range(21)))
        await until(pilot, "2 waiting")
        await until(pilot, lambda: "e0" not in app_of(pilot).view.edits)
        await pilot.press("a")
        await until(pilot, "has just come; look at it first")
        await seconds(pilot, UNREAD_SECONDS)
        assert all(state == "superseded" for state in decided(run).values())


async def test_an_edit_decided_elsewhere_under_the_cursor_is_not_undone_by_a_key_for_another(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        reviews.approve(run, "e0", "bob")
        await until(pilot, lambda: "committed" in title(pilot))
        await pilot.press("u")
        await until(pilot, "has just come; look at it first")
        await seconds(pilot, UNREAD_SECONDS)
        assert decided(run) == {"e0": "committed"}
        await pilot.press("u")
        await until(pilot, lambda: decided(run) == {"e0": "undone"})


async def test_a_diff_that_was_put_anew_elsewhere_is_not_under_a_key(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        file = run.repo_path / skill_of(run, "e0") / "SKILL.md"
        file.parent.mkdir()
        file.write_text("---\nname: x\ndescription: y\n---\nby hand\n")
        assert reviews.approve(run, "e0", "bob").state == "conflicted"
        reviews.requeue(run, "e0", "bob")
        await until(pilot, "- by hand")
        await pilot.press("a")
        await until(pilot, "has just come; look at it first")
        assert run.edit("e0").state == "pending"


async def test_a_view_that_lags_behind_decides_nothing(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        reviews.veto(run, "e0", "bob", "mine")
        await pilot.press("a")
        await until(pilot, lambda: "e0 was vetoed by bob" in bottom(pilot))
        assert decided(run) == {"e0": "vetoed"}
        await until(pilot, "2 waiting")


async def test_a_second_key_while_a_decision_is_under_way_does_nothing_more(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 1)
    async with review(run) as pilot:
        at_once(pilot, "a", "a", "v", "u")
        await until(pilot, lambda: decided(run) == {"e0": "committed"})
        await seconds(pilot, 1)
        assert len(decisions(run)) == 1 and isinstance(pilot.app.screen, ReviewScreen)


async def test_after_the_last_edit_of_the_list_the_first_that_waits_comes(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        await pilot.press("n", "n", "a")
        await until(pilot, lambda: skill_of(run, "e0") in title(pilot))
        await until(pilot, lambda: decided(run) == {"e2": "committed"})
        await pilot.press("a")
        await until(pilot, lambda: skill_of(run, "e1") in title(pilot))
        await pilot.press("v")
        await until(pilot, "Veto the edit")
        await pilot.press("enter")
        await until(pilot, "nothing waits")
        assert skill_of(run, "e1") in title(pilot) and decided(run)["e1"] == "vetoed"


async def test_on_a_narrow_terminal_an_edit_whose_diff_was_not_shown_is_not_decided_on(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with workbench(run.path, size=(60, 16)) as pilot:
        await until(pilot, lambda: len(app_of(pilot).view.edits) == 3)
        await pilot.press("r", "shift+tab", "j")
        await until(pilot, lambda: "find-" in pane(pilot, "queue"))
        await pilot.press("a")
        await until(pilot, "The diff of this edit is not on the screen yet")
        assert decided(run) == {}
        await seconds(pilot, UNREAD_SECONDS)
        await pilot.press("tab")
        await until(pilot, f"insert · {skill_of(run, 'e1')}")
        await pilot.press("n")
        await until(pilot, f"insert · {skill_of(run, 'e2')}")
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e2": "committed"})


async def test_decisions_that_were_sent_are_taken_although_the_program_is_left(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        await pilot.press("a", "a", "a", "q")
    deadline = asyncio.get_running_loop().time() + 10
    while len(decided(run)) < 3 and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.05)
    assert decided(run) == {"e0": "committed", "e1": "committed", "e2": "committed"}


async def test_review_that_is_opened_by_the_program_is_read_first(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·3")
        await app_of(pilot).open_screen("review", restored=True)
        await until(pilot, "insert · find-")
        await until(pilot, lambda: pilot.app.screen._reading.painted)
        await pilot.press("a")
        await until(pilot, "has just come; look at it first")
        assert decided(run) == {} and "keys ignored" not in on_screen(pilot)


async def test_an_edit_that_the_program_goes_to_in_a_review_it_opened_is_read_first(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·3")
        await app_of(pilot).open_screen("review", restored=True)
        screen = pilot.app.screen
        assert isinstance(screen, ReviewScreen)
        await until(pilot, "insert · find-")
        await seconds(pilot, UNREAD_SECONDS)
        screen.queue.move(2)
        await until(pilot, lambda: skill_of(run, "e2") in title(pilot))
        await pilot.press("a")
        await until(pilot, "has just come; look at it first")
        assert decided(run) == {}


def app_of(pilot: object) -> SkillosApp:
    app = pilot.app  # type: ignore[attr-defined]
    assert isinstance(app, SkillosApp)
    return app


async def test_review_shows_no_edit_and_decides_on_none_until_the_whole_log_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, session, gate = waiting_run(tmp_path / "run", 2), Session(), threading.Event()
    run.append(decision("e0", "veto", "bob", ""))
    session.keep_place(run.path, Place(seen=1))
    whole = client.news_since
    monkeypatch.setattr(client, "news_since", lambda run, since, unit: gate.wait(60) and whole(run, since, unit))
    async with workbench(run.path, session=session) as pilot:
        await until(pilot, "Review·1")
        await pilot.press("r")
        await until(pilot, "The run is being read …")
        await pilot.press("a")
        await until(pilot, "The run is still being read; wait a moment.")
        gate.set()
        await until(pilot, lambda: title(pilot).startswith(f"insert · {skill_of(run, 'e1')}"))
        assert decided(run) == {"e0": "vetoed"}
