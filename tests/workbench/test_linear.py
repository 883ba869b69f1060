"""Linear mode, for screen readers: one pane as plain lines, no drawn characters, and changes as appended lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from skillos_tui.keymap import TABS
from skillos_tui.model.session import Session
from skillos_tui.render.plain import plain, plain_row
from tests.workbench.recording import SUCCEEDED, PositionId, add_step, episode, record_training
from tests.workbench.stage import at_once, on_screen, screen_lines, until, workbench

DRAWN = re.compile("[\u2500-\u259f\u2800-\u28ff▮▯]")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("   r │▆   ▄  ▇ █     ", "   r, levels 6 4 7 8 of 8"),
        ("██ ██ x", "bar 2 bar 2 x"),
        ("rollouts 12/48 ▮▮▯▯▯▯▯▯ 3 min", "rollouts 12/48 2 of 8 3 min"),
        ("▁▃▇█ │ r 0.5", "levels 1 3 7 8 of 8, r 0.5"),
        ("  ── position 3 · house ────", "  position 3 · house"),
        ("r_task ████▌ 0.4", "r_task bar 5 0.4"),
        ("⠂⠒⠒⠂", ""),
        ("● running  │  step 3", "● running, step 3"),
        ("a, b", "a, b"),
    ],
)
def test_bars_become_numbers_and_drawings_go(text: str, wanted: str) -> None:
    assert plain(text) == wanted


def test_the_row_under_the_cursor_has_a_sign() -> None:
    assert plain_row((("  find-mug  ", "cursor"),)) == (("> find-mug", ""),)


async def test_every_screen_is_one_pane_of_plain_lines(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=3)
    session = Session(tmp_path / "state")
    session.keep_linear(True)
    async with workbench(run.path, session=session, size=(100, 40)) as pilot:
        await until(pilot, "Review·6" if "Review" in on_screen(pilot) else "2·6")
        for name, key in TABS.items():
            await pilot.press(key.keys)
            await until(pilot, lambda name=name: pilot.app.shown_screen == name)
            await pilot.pause()
            for _ in pilot.app.screen.PANES:
                await pilot.press("tab")
                await pilot.pause()
                assert not DRAWN.search(on_screen(pilot)), on_screen(pilot)
                shown = [pane for pane in pilot.app.screen.query(".pane") if pane.display and pane.region]
                assert len(shown) <= 1
        await pilot.press("question_mark")
        await until(pilot, "In the focused pane")
        assert not DRAWN.search(on_screen(pilot)), on_screen(pilot)


async def test_what_changes_is_appended(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    session = Session()
    session.keep_linear(True)
    with run.lock():
        async with workbench(run.path, session=session) as pilot:
            await until(pilot, "Announcements")
            await until(pilot, "step 1")
            run.append(*episode(PositionId(1, 0, 0, 4), SUCCEEDED)[:2])
            said = pilot.app.screen.query_one("#announcements")
            await until(pilot, lambda: any("position 4" in item.spans[0][0] for item in said.lines))
            add_step(run, 2)
            await until(pilot, lambda: any("4 waiting for review" in item.spans[0][0] for item in said.lines))
            await pilot.press("z")
            await until(pilot, lambda: any("In linear mode" in item.spans[0][0] for item in said.lines))
            at_once(pilot, "b")
            await until(pilot, lambda: any("no place to go back" in item.spans[0][0] for item in said.lines))
            at_once(pilot, "tab")
            await until(pilot, lambda: "Skills, pane" in screen_lines(pilot)[-2])


async def test_a_key_switches_and_the_choice_is_kept(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    session = Session(tmp_path / "state")
    async with workbench(run.path, session=session) as pilot:
        await until(pilot, "╭─ Memory")
        at_once(pilot, "2", "1", "L")
        await until(pilot, lambda: "╭" not in on_screen(pilot) and "Executor" in on_screen(pilot))
        await pilot.press("2")
        await until(pilot, lambda: "╭" not in on_screen(pilot) and "name: find-" in on_screen(pilot))
        assert Session.load(tmp_path / "state").saved.linear
        at_once(pilot, "1", "L")
        await until(pilot, "╭─ Memory")
        assert "Announcements" not in on_screen(pilot)
        await pilot.press("2")
        await until(pilot, lambda: "╭" in on_screen(pilot) and "Announcements" not in on_screen(pilot))


@pytest.mark.parametrize(("linear", "size"), [(True, (120, 40)), (False, (40, 10)), (False, (60, 40))])
async def test_the_lists_of_dialogs_are_shown_where_one_pane_is(linear: bool, size: tuple[int, int]) -> None:
    session = Session()
    session.keep_linear(linear)
    async with workbench(session=session, size=size) as pilot:
        await pilot.press("f1")
        await until(pilot, "executor" if size[1] > 10 else "Markdown")
        await pilot.press("escape", "D")
        await until(pilot, "contrast")


async def test_a_screen_that_was_left_follows_the_mode(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "2 Review·")
        await pilot.press("8")
        await until(pilot, "Memory by process")
        await pilot.press("L")
        await until(pilot, "Announcements")
        await pilot.press("1")
        await until(pilot, lambda: pilot.app.shown_screen == "live" and "Memory by process" not in on_screen(pilot))
        await until(pilot, lambda: not DRAWN.search(on_screen(pilot)))
