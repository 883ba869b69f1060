"""Keys that arrive in one burst, as over a slow line, act in their order, also where one closes a dialog or the program."""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from engine.runs.commands import AnyCommand, Pause, Stop, StopAfter
from engine.runs.directory import Run
from skillos_tui.screens.home.screen import HomeScreen
from skillos_tui.screens.live.screen import LiveScreen
from tests.workbench.ptys import Terminal, keep
from tests.workbench.recording import record_training
from tests.workbench.stage import at_once, until, workbench


@pytest.mark.parametrize("screen", [b"1", b"7"])
@pytest.mark.parametrize(
    ("asked", "keys", "command"), [(b"", b"p", Pause()), (b"s", b"y", Stop()), (b"s", b"a", StopAfter())]
)
def test_a_command_reaches_the_engine(
    tmp_path: Path, screen: bytes, asked: bytes, keys: bytes, command: AnyCommand
) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    options = (str(run.path), "--runs", str(tmp_path))
    with run.lock(), Terminal(*options, environment=keep(tmp_path)) as terminal:
        terminal.until("● running")
        terminal.press(screen)
        terminal.until("Executor" if screen == b"1" else "d trash")
        terminal.quiet(0.3)
        if asked:
            terminal.press(asked)
            terminal.until("Stop this run?")
            terminal.quiet(0.3)
        terminal.press(keys + b"q")
        assert terminal.wait(20) == 0
        assert [sent.command for sent in run.take_commands()] == [command]


@pytest.fixture
def review(tmp_path: Path) -> Iterator[tuple[Run, Terminal]]:
    """A run, and a terminal in which the first of its edits is open."""
    run = record_training(tmp_path / "run", steps=1)
    with Terminal(str(run.path), environment=keep(tmp_path)) as terminal:
        terminal.until("Executor")
        terminal.press(b"2")
        terminal.until("a approve")
        terminal.quiet(0.5)
        yield run, terminal


def test_an_approval_is_committed(review: tuple[Run, Terminal]) -> None:
    run, terminal = review
    for _ in range(20):
        terminal.press(b"aq")
        terminal.until(lambda: terminal.ended() or "look at it first" in terminal.text)
        if terminal.ended():
            break
        terminal.quiet(1.0)  # a key is refused, and those behind it, until the edit has been on the screen for a moment
        terminal.press(b"?")
        terminal.until("On the review screen")
        terminal.press(b"q")
        terminal.until(lambda: "On the review screen" not in terminal.text)
    assert terminal.wait(20) == 0
    assert [edit.state for edit in run.edits()].count("committed") == 1


def test_keys_behind_the_one_that_closes_a_dialog_are_those_of_the_screen_below(review: tuple[Run, Terminal]) -> None:
    _, terminal = review
    terminal.press(b"?")
    terminal.until("On the review screen")
    terminal.press(b"q1")
    terminal.until("Executor", 20)
    assert "A dialog is open" not in terminal.text
    terminal.press(b"?")
    terminal.until("On the live screen")
    terminal.press(b"qq")
    assert terminal.wait(20) == 0


def test_a_second_enter_in_the_palette_ends_no_program(review: tuple[Run, Terminal]) -> None:
    run, terminal = review
    terminal.press(b"\x10")
    terminal.until("Search")
    terminal.press(b"live")
    terminal.until("Live (screen)")
    terminal.quiet(0.3)
    terminal.press(b"\r\r\r")
    terminal.until(lambda: "Live (screen)" not in terminal.text)  # a late Enter leads on from there
    terminal.quiet(1.0)
    terminal.press(b"q")
    assert terminal.wait(20) == 0
    assert {edit.state for edit in run.edits()} == {"pending"}


@pytest.mark.parametrize("key", ["pagedown", "pageup", "down", "enter", "escape"])
async def test_the_palette_takes_keys_before_it_has_found_a_command(tmp_path: Path, key: str) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        for _ in range(5):
            at_once(pilot, "ctrl+p", key, key, "x", key)
            await pilot.pause()
            at_once(pilot, "escape", "escape")
            await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen | HomeScreen))


@pytest.mark.parametrize(("screen", "field"), [("7", "#filter"), ("3", "#query"), ("4", "#field")])
async def test_what_is_typed_behind_the_key_of_a_search_is_searched_for(
    tmp_path: Path, screen: str, field: str
) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path, folder=tmp_path) as pilot:
        await until(pilot, "step 1")
        await pilot.press(screen)
        await until(pilot, "/ ")
        at_once(pilot, "slash", *"runod")
        await until(pilot, lambda: [each.value for each in pilot.app.screen.query(field).results(Input)] == ["runod"])


KEYS = [
    *string.ascii_letters.replace("Q", ""),
    *"12345678",
    *"[]",
    "slash",
    "question_mark",
    "plus",
    "minus",
    "comma",
    *["enter", "escape", "ctrl+p"] * 4,
    "tab",
]
KEYS += [
    "shift+tab",
    "space",
    "backspace",
    "up",
    "down",
    "left",
    "right",
    "pageup",
    "pagedown",
    "home",
    "end",
    "delete",
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
async def test_random_bursts_on_every_screen_end_no_program_but_by_q(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    run = record_training(tmp_path / "run", steps=3, state="running")
    async with workbench(run.path, folder=tmp_path) as pilot:
        await until(pilot, "step 3")
        for _ in range(250):
            at_once(pilot, *dice.choices(KEYS, k=dice.randint(1, 6)))
            await asyncio.sleep(dice.choice([0, 0.001, 0.01, 0.05, 0.2]))
            if not pilot.app.is_running:
                break
