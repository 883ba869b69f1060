"""Digits show a screen as it was left, enter leads to what is behind a line, and b leads back; also typed fast."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.css.stylesheet import Stylesheet

from skillos_tui.keymap import TABS
from skillos_tui.model.session import Session
from skillos_tui.model.target import Target
from skillos_tui.screens.registry import SCREENS
from skillos_tui.widgets.pane import Pane
from skillos_tui.widgets.tabs import OF_A_RUN, StateBar
from tests.workbench.recording import record_training
from tests.workbench.reviewing import decisions
from tests.workbench.stage import at_once, on_screen, screen_lines, seconds, until, workbench
from tests.workbench.test_screens import added

__all__ = ["added"]


def shown(pilot: object) -> str:
    return pilot.app.shown_screen  # type: ignore[attr-defined]


def test_the_bar_knows_which_screens_need_a_run() -> None:
    assert {name for name in TABS if SCREENS.load(name).needs_run} == OF_A_RUN


async def test_digits_show_every_screen_and_b_walks_all_the_way_back(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        at_once(pilot, *"2345678")
        await until(pilot, lambda: shown(pilot) == "system")
        for name in ("runs", "evaluation", "rewards", "rollouts", "skills", "review", "live"):
            await pilot.press("b")
            await until(pilot, lambda name=name: shown(pilot) == name)
            assert name.capitalize()[:4] in screen_lines(pilot)[0]
        await pilot.press("b")
        await until(pilot, "There is no place to go back to.")


async def test_a_screen_is_found_as_it_was_left_and_shows_what_came_meanwhile(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=3, state="running")
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·6")
        at_once(pilot, *"2nn")
        await until(pilot, lambda: shown(pilot) == "review")
        review = pilot.app.screen
        await pilot.pause()
        selected, diff = review.query_one("#queue").value, review.query_one("#diff", Pane)
        at_once(pilot, "j", "j", "3")
        await until(pilot, lambda: shown(pilot) == "skills")
        top = diff.top
        from tests.workbench.recording import add_step

        add_step(run, 4)
        await until(pilot, "·8")
        await pilot.press("2")
        await until(pilot, "2 Review·8")
        assert pilot.app.screen is review and review.query_one("#queue").value == selected and diff.top == top
        await until(pilot, "8 waiting")


async def test_a_key_typed_right_after_the_return_to_review_decides_nothing(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        await pilot.press("2")
        await until(pilot, "insert · find-")
        await seconds(pilot, 1.0)
        for way in (("1", "2", "a"), ("b", "b", "a"), ("3", "2", "a")):
            at_once(pilot, *way)
            await until(pilot, "look at it first")
            await seconds(pilot, 1.0)
        assert not decisions(run)
        await pilot.press("a")
        await until(pilot, lambda: len(decisions(run)) == 1)


async def test_without_a_run_its_screens_are_refused_with_the_reason(tmp_path: Path) -> None:
    async with workbench(folder=tmp_path / "runs") as pilot:
        await until(pilot, "no run is open")
        styles = {text: style for text, style in pilot.app.screen.query_one(StateBar).rows[0]}
        assert styles["2 Review"] == styles["5 Rewards"] == "axis" != styles["3"]
        await pilot.press("2")
        await until(pilot, "Review shows a run; open one first.")
        at_once(pilot, *"78b")
        await until(pilot, lambda: shown(pilot) == "runs")
        await pilot.press("b")
        await until(pilot, lambda: shown(pilot) == "home")


async def test_b_returns_into_the_run_that_was_open(tmp_path: Path) -> None:
    for name in ("a-first", "b-second"):
        record_training(tmp_path / name, steps=1).close()
    async with workbench(tmp_path / "a-first", folder=tmp_path) as pilot:
        await until(pilot, "Executor")
        await pilot.press("2")
        await until(pilot, "insert · find-")
        await pilot.press("1", "h")
        await until(pilot, "Live curation")
        await pilot.press("b", "b")
        await until(pilot, lambda: shown(pilot) == "review" and "insert · find-" in on_screen(pilot))
        assert pilot.app.path == tmp_path / "a-first"


async def test_a_dialog_stays_and_says_that_it_is_open(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    with run.lock():
        async with workbench(run.path) as pilot:
            await until(pilot, "running")
            await pilot.press("s")
            await until(pilot, "Stop this run?")
            await pilot.press("3")
            await until(pilot, "A dialog is open; close it first (esc).")
            await pilot.press("escape", "3")
            await until(pilot, lambda: shown(pilot) == "skills")


async def test_a_screen_that_a_package_adds_is_on_the_way_back(added: Iterator[None], tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, lambda: bool(pilot.app.screen_keys))  # type: ignore[attr-defined]
        at_once(pilot, "2", "N", "3", "b")
        await until(pilot, lambda: shown(pilot) == "notes")
        await pilot.press("b")
        await until(pilot, lambda: shown(pilot) == "review")


async def test_enter_leads_to_what_is_behind_a_line(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        live = pilot.app.screen
        assert live.query_one("#transcript").target() == Target("rollouts", "1/g0/r0/p3")
        at_once(pilot, "g")
        await until(pilot, lambda: live.query_one("#transcript").target() == Target("rollouts", "1/g0/r0/p1"))
        for keys, screen in ((("enter",), "rollouts"), (("tab", "j", "j", "enter"), "review")):
            at_once(pilot, *keys)
            await until(pilot, lambda screen=screen: shown(pilot) == screen)
            await pilot.press("b")
            await until(pilot, lambda: shown(pilot) == "live")
        assert live.query_one("#skills").has_focus


async def test_a_run_that_is_lost_can_be_left(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path, folder=tmp_path) as pilot:
        await until(pilot, "Review·2")
        run.close()
        shutil.rmtree(run.path)
        await until(pilot, "cannot be read")
        for key in "2145b1h":
            await pilot.press(key)
        await until(pilot, "Live curation")


async def test_the_screen_without_a_run_is_the_same_at_the_next_start(tmp_path: Path) -> None:
    session = Session(tmp_path / "state")
    async with workbench(folder=tmp_path / "runs", session=session) as pilot:
        await until(pilot, "no run is open")
        await pilot.press("8")
        await until(pilot, lambda: session.saved.home.screen == "system")
    async with workbench(folder=tmp_path, session=Session.load(tmp_path / "state"), reopened=True) as pilot:
        await until(pilot, lambda: shown(pilot) == "system")
        await pilot.press("escape")
        await until(pilot, lambda: shown(pilot) == "home")


async def test_a_screen_is_switched_to_without_parsing_the_sheets_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        monkeypatch.setattr(Stylesheet, "reparse", lambda self: pytest.fail("all style sheets were parsed again"))
        at_once(pilot, *"2345678")
        await until(pilot, lambda: shown(pilot) == "system")


async def test_enter_on_the_newest_edit_of_live_opens_it_in_review(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2)
    async with workbench(run.path) as pilot:
        await until(pilot, "Newest edit · ")
        pilot.app.screen.go_to("diff")  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: getattr(pilot.app.screen, "NAME", "") == "review")
        await until(pilot, lambda: pilot.app.screen.queue.value == pilot.app.view.pending[-1].id)
        await pilot.press("b")
        await until(pilot, "Newest edit · ")


async def test_b_returns_into_the_folder_of_skills_that_was_open(tmp_path: Path) -> None:
    (tmp_path / "skills" / "mugs").mkdir(parents=True)
    (tmp_path / "skills" / "mugs" / "SKILL.md").write_text("---\nname: mugs\ndescription: Use when.\n---\nLook.\n")
    run = record_training(tmp_path / "runs" / "run", steps=1)
    async with workbench(folder=tmp_path / "runs") as pilot:
        await until(pilot, "finished")
        await pilot.app.open_skills(tmp_path / "skills")
        await until(pilot, "Use when.")
        await pilot.press("7")
        await until(pilot, "finished")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.path == run.path and shown(pilot) == "live")
        await pilot.press("b")
        await until(pilot, lambda: shown(pilot) == "runs")
        await pilot.press("b")
        await until(pilot, "Use when.")
        assert pilot.app.path is None and shown(pilot) == "skills"
