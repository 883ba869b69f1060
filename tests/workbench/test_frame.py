"""The panes of every screen: shown alone, frozen, made larger, explained, copied; by keys and by mouse."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.core.events import Alarm, AlarmsChecked, Notice
from skillos_tui.app import SkillosApp
from skillos_tui.keymap import TABS, OwnKeys
from skillos_tui.model.session import Session
from skillos_tui.model.target import Target
from skillos_tui.screens.rollouts.detail import DetailPane
from skillos_tui.terminal import clipboard
from skillos_tui.themes import Themes
from skillos_tui.widgets.listing import ListPane
from skillos_tui.widgets.pane import Pane
from tests.workbench.recording import SUCCEEDED, PositionId, episode, record_training
from tests.workbench.stage import at_once, go, on_screen, screen_lines, until, workbench


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return record_training(tmp_path / "run", steps=2).path


def current(pilot: Pilot[str]) -> Pane:
    return pilot.app.screen.current_pane  # type: ignore[attr-defined]


async def test_z_shows_the_pane_alone_and_z_or_escape_all_again(run: Path) -> None:
    async with workbench(run) as pilot:
        await until(pilot, "Review·4")
        await pilot.press("tab", "z")
        await until(pilot, lambda: "Memory" not in on_screen(pilot))
        assert "Skills" in on_screen(pilot) and current(pilot).outer_size.width == 120
        await pilot.press("tab")
        await until(pilot, lambda: "Newest edit" in on_screen(pilot) and "Skills ─" not in on_screen(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "Memory" in on_screen(pilot) and "Executor" in on_screen(pilot))
        at_once(pilot, "z", "z", "z")
        await until(pilot, lambda: "Memory" not in on_screen(pilot))
        at_once(pilot, "2", "1", "z")
        await until(pilot, "Memory")


async def test_a_frozen_pane_stays_and_counts_what_is_new(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        await pilot.press("f")
        await until(pilot, "rollout 0 · frozen")
        pane, before = current(pilot), list(current(pilot).rows)
        run.append(*episode(PositionId(1, 0, 0, 4), SUCCEEDED))
        await until(pilot, " new ")
        await until(pilot, lambda: f"frozen, {pane.news()} new" in on_screen(pilot))
        assert pane.rows == before
        await pilot.resize_terminal(130, 40)
        assert pane.rows == before
        await pilot.press("f")
        await until(pilot, lambda: "frozen" not in on_screen(pilot))
        assert len(pane.rows) > len(before)


async def test_a_frozen_list_counts_new_items_and_what_keys_decide_on_cannot_be_frozen(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        at_once(pilot, "tab", "f")
        await until(pilot, "Skills · frozen")
        from tests.workbench.recording import proposal

        run.append(proposal(1, 3, edit="e3"), proposal(1, 4, edit="e4"))
        await until(pilot, "frozen, 2 new")
        await pilot.press("2")
        await until(pilot, "insert · find-")
        await pilot.press("f")
        await until(pilot, "The panes of this screen cannot be frozen")


@pytest.mark.parametrize("screen", [*TABS, "home"])
async def test_what_is_frozen_says_so_and_what_cannot_say_it_is_not_frozen(tmp_path: Path, screen: str) -> None:
    run = record_training(tmp_path / "run", steps=2)
    async with workbench(run.path, folder=tmp_path) as pilot:
        await go(pilot, screen)
        for name in pilot.app.screen.PANES:
            pane = pilot.app.screen.query_one(f"#{name}", Pane)
            if not pane.has_class("-empty"):
                pilot.app.screen.go_to(name)
                await pilot.press("f")
                await pilot.pause()
                told = "frozen" in str(pane.border_title) if pane.frozen else "cannot be frozen" in on_screen(pilot)
                assert told, name
                await pilot.press("f")


async def test_borders_move_by_keys_and_stay_at_the_next_start(run: Path, tmp_path: Path) -> None:
    session = Session(tmp_path / "state")
    async with workbench(run, session=session) as pilot:
        await until(pilot, "Review·4")
        left = pilot.app.screen.query_one("#left")
        width, height = left.outer_size.width, current(pilot).outer_size.height
        await pilot.press("greater_than_sign", "greater_than_sign", "plus")
        await until(pilot, lambda: left.outer_size.width == width + 8)
        await until(pilot, lambda: current(pilot).outer_size.height == height + 2)
    async with workbench(run, session=Session.load(tmp_path / "state")) as pilot:
        await until(pilot, "Review·4")
        assert abs(pilot.app.screen.query_one("#left").outer_size.width - width - 8) <= 1
        at_once(pilot, *["less_than_sign"] * 60)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: pilot.app.screen.query_one("#left").outer_size.width >= 8)
        await pilot.resize_terminal(60, 20)
        await pilot.press("less_than_sign")
        await until(pilot, "One pane is shown; there is no border to move.")


async def test_a_border_is_dragged(run: Path) -> None:
    async with workbench(run) as pilot:
        await until(pilot, "Review·4")
        left, memory = pilot.app.screen.query_one("#left"), pilot.app.screen.query_one("#memory")
        x, y = left.region.right - 1, memory.region.y
        await pilot.mouse_down(offset=(x, 10))
        await pilot.hover(offset=(x + 10, 10))
        await pilot.mouse_up(offset=(x + 10, 10))
        await until(pilot, lambda: left.region.right - 1 == x + 10)
        await pilot.mouse_down(offset=(5, y))
        await pilot.hover(offset=(5, y - 4))
        await pilot.mouse_up(offset=(5, y - 4))
        await until(pilot, lambda: memory.region.y in (y - 4, y - 3))


async def test_the_bar_explains_the_figures_of_the_pane_that_has_the_focus(run: Path) -> None:
    async with workbench(run, size=(200, 60)) as pilot:
        await until(pilot, "Review·4")
        await pilot.press("tab", "tab", "tab")
        await until(pilot, lambda: current(pilot).id == "rewards")
        name, meaning = current(pilot).legend()[1][0]
        await until(pilot, f"{name}: {meaning}"[:60])
        await pilot.press("j")
        await until(pilot, "q quit")


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_what_each_pane_of_live_abbreviates_is_explained_in_whole_words_and_in_the_sheet(
    run: Path, size: tuple[int, int]
) -> None:
    async with workbench(run, size=size) as pilot:
        await until(pilot, "·4")
        screen = pilot.app.screen
        for _ in screen.PANES:  # type: ignore[attr-defined]
            await pilot.press("tab")
            await pilot.pause()
            told = screen_lines(pilot)[-1].strip()
            parts = [part for part in told.split(" · ") if part != "? more"]
            meanings = list(current(pilot).meanings())
            assert len(parts) > 1 and parts == meanings[: len(parts)] and "…" not in told, current(pilot).id
            assert ("? more" in told) == (len(parts) < len(meanings))
            if current(pilot).id == "rewards":
                assert all(name in told for name in ("r_task", "r_fc", "r_cnt", "r_comp"))
                assert "comp brevity ─╯" in on_screen(pilot)
        await pilot.press("question_mark", "slash", *"proposed")
        await until(pilot, "where the edit was proposed: position 2")


# The mouse


async def test_a_click_on_a_key_presses_it_and_on_a_screen_opens_it(run: Path) -> None:
    async with workbench(run) as pilot:
        await until(pilot, "q quit")
        bottom = screen_lines(pilot)[-1]
        await pilot.click(offset=(bottom.index("next pane") + 2, 39))
        await until(pilot, lambda: current(pilot).id == "skills")
        await pilot.click(offset=(screen_lines(pilot)[0].index("5 Rew"), 0))
        await until(pilot, lambda: pilot.app.shown_screen == "rewards")  # type: ignore[attr-defined]
        await pilot.press("1", "j")
        await until(pilot, "? keys")
        await pilot.click(offset=(screen_lines(pilot)[-1].index("? keys"), 39))
        await until(pilot, "On the live screen")


async def test_a_double_click_opens_what_a_click_selects(run: Path) -> None:
    async with workbench(run) as pilot:
        await until(pilot, "+ find-")
        row = next(y for y, text in enumerate(screen_lines(pilot)) if "+ find-" in text)
        await pilot.click(offset=(6, row))
        tree = pilot.app.screen.query_one("#skills", ListPane)
        await until(pilot, lambda: tree.value[0] == "waiting" and bool(tree.value[1]))
        await pilot.click(offset=(6, row), times=2)
        await until(pilot, lambda: pilot.app.shown_screen == "review")  # type: ignore[attr-defined]


async def test_a_double_click_opens_also_where_the_person_has_another_key_for_it(run: Path, tmp_path: Path) -> None:
    own = OwnKeys({"home.choose": "f6", "skill_tree.fold": "f7", "pane.lead": "f8"})
    app = SkillosApp(Themes.find(), "dark", tmp_path, None, keys=own)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        for mark, screen in (("finished", "live"), ("+ find-", "review")):
            await until(pilot, mark)
            row = next(y for y, text in enumerate(screen_lines(pilot)) if mark in text)
            await pilot.click(offset=(8, row), times=2)
            await until(pilot, partial(lambda name: app.shown_screen == name, screen))
        await pilot.press("D")
        await until(pilot, "dusk")
        row = next(y for y, text in enumerate(screen_lines(pilot)) if "dusk" in text)
        await pilot.click(offset=(screen_lines(pilot)[row].index("dusk"), row), times=2)
        await until(pilot, lambda: app.own_theme.name == "dusk" and not app.screen.is_modal)


async def test_the_notice_and_the_alarms_are_clicked(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    run.append(Notice("warning", "the disk is nearly full"), AlarmsChecked(1, [Alarm("zero_std", "no spread", "draw")]))
    async with workbench(run.path) as pilot:
        for shown, mark in ((False, "the disk is nearly full"), (True, "no spread"), (True, "w unfolds")):
            await until(pilot, mark)
            row = next(y for y, text in enumerate(screen_lines(pilot)) if mark in text)
            await pilot.click(offset=(8, row))
            await until(pilot, partial(lambda gone: gone not in on_screen(pilot), mark))
            assert ("zero_std" in on_screen(pilot)) or not shown


async def test_a_click_in_the_keys_of_a_dialog_presses_one(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    with run.lock():
        async with workbench(run.path) as pilot:
            await until(pilot, "● running")
            for word, stays in (("y stop now", False), ("n cancel", False), ("Stop this run?", True)):
                await pilot.press("s")
                await until(pilot, "y stop now")
                row = next(y for y, text in enumerate(screen_lines(pilot)) if word in text)
                await pilot.click(offset=(screen_lines(pilot)[row].index(word) + 3, row))
                await pilot.pause()
                assert ("y stop now" in on_screen(pilot)) is stays, word
            await until(pilot, "Asked the engine to stop.")


async def test_the_scroll_mark_is_clicked_and_dragged(run: Path) -> None:
    async with workbench(run) as pilot:
        await until(pilot, "Review·4")
        pane = current(pilot)
        assert pane.at_end
        x, y, bottom = pane.content_region.right - 1, pane.content_region.y, pane.content_region.bottom - 1
        await pilot.mouse_down(offset=(x, y))
        await until(pilot, lambda: pane.top == 0)
        await pilot.hover(offset=(x, bottom))
        await pilot.mouse_up(offset=(x, bottom))
        await until(pilot, lambda: pane.at_end and pane.top > 0)


async def test_a_selection_stays_in_its_pane_and_is_copied(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    async with workbench(run) as pilot:
        await until(pilot, "Review·4")
        pane, diff = current(pilot), pilot.app.screen.query_one("#diff", Pane)
        at_once(pilot, "g")
        await until(pilot, lambda: pane.top == 0)
        x, y = pane.content_region.offset
        await pilot.mouse_down(offset=(x, y))
        await pilot.hover(offset=(diff.content_region.x + 2, y + 2))
        await pilot.hover(offset=(diff.content_region.x + 2, y + 3))
        await pilot.mouse_up(offset=(diff.content_region.x + 2, y + 3))
        assert list(pilot.app.screen.selections) == [pane]
        await pilot.press("y")
        await until(pilot, "copied ")
        copied = pilot.app.clipboard.splitlines()
        shown = ["".join(text for text, _ in row).rstrip() for row in pane.rows[: len(copied)]]
        assert (
            len(copied) >= 3
            and copied[0] == shown[0]
            and all(part in whole for part, whole in zip(copied, shown, strict=True))
        )


async def test_without_a_selection_the_row_or_the_edit_is_copied(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    async with workbench(run) as pilot:
        await until(pilot, "Review·4")
        await pilot.press("tab", "j", "ctrl+c")
        await until(pilot, "copied 1 line; q leaves the workbench")
        assert pilot.app.clipboard.strip() in on_screen(pilot)
        await pilot.press("tab", "y")
        await until(pilot, lambda: "name: find-" in pilot.app.clipboard)
        assert "│" not in pilot.app.clipboard


def test_what_is_too_long_for_a_terminal_is_cut_at_a_line() -> None:
    text = "\n".join(f"{number:09d}" for number in range(20_000))
    part = clipboard.bounded(text)
    assert len(part) <= clipboard.MAX_BYTES and text.startswith(f"{part}\n") and clipboard.bounded("short") == "short"
    assert len(clipboard.bounded("ä" * 100_000).encode()) <= clipboard.MAX_BYTES


def test_tmux_takes_what_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = tmp_path / "tmux"
    tmux = ("tmux", "-S", str(socket), "-f", "/dev/null")
    subprocess.run([*tmux, "new-session", "-d", "sleep 60"], check=True)
    try:
        monkeypatch.setenv("TMUX", f"{socket},1,0")
        assert clipboard.in_tmux() and clipboard.load_into_tmux("one\ntwo")
        assert subprocess.check_output([*tmux, "show-buffer"]) == b"one\ntwo"
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    assert not clipboard.load_into_tmux("nobody listens")


@pytest.mark.parametrize("screen", [*TABS, "home"])
async def test_every_pane_of_every_screen_can_be_copied(tmp_path: Path, screen: str) -> None:
    run = record_training(tmp_path / "run", steps=2)
    async with workbench(run.path, folder=tmp_path) as pilot:
        await go(pilot, screen)
        await pilot.pause(0.3)
        for pane in pilot.app.screen.PANES:
            if not pilot.app.screen.query_one(f"#{pane}").has_class("-empty"):
                pilot.app.screen.go_to(pane)
                await pilot.press("y")
                assert isinstance(pilot.app.screen.query_one(f"#{pane}").copied(), str)


async def test_the_record_of_a_rollout_is_copied_whole(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2)
    async with workbench(run.path, size=(100, 20)) as pilot:
        await until(pilot, "r_task")
        await pilot.app.go(Target("rollouts", "2/g0/r0"))
        await until(pilot, lambda: getattr(pilot.app.screen, "NAME", "") == "rollouts")
        record = pilot.app.screen.query_one(DetailPane)
        await until(pilot, lambda: "Rollout 0" in record.copied())
        assert "position" in record.copied().lower()


async def test_the_list_of_home_is_not_frozen_and_a_pane_without_a_title_can_be(tmp_path: Path) -> None:
    async with workbench(folder=tmp_path / "runs") as pilot:
        await until(pilot, "No runs yet")
        await pilot.press("f")
        await until(pilot, "cannot be frozen")
        for frozen in (True, False):
            current(pilot).freeze(frozen)
            await pilot.pause()
            assert current(pilot).frozen == frozen
