"""Keys that arrive in one burst, as over a slow line, act in their order, also where one closes a dialog or the program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs.commands import AnyCommand, Pause, Stop, StopAfter
from engine.runs.directory import Run
from tests.workbench.ptys import Terminal, keep
from tests.workbench.recording import record_training


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
    terminal.press(b"aq")
    assert terminal.wait(20) == 0
    assert [edit.state for edit in run.edits()].count("committed") == 1


def test_a_veto_has_what_was_typed_before_it_was_sent(review: tuple[Run, Terminal]) -> None:
    run, terminal = review
    terminal.press(b"v")
    terminal.until("enter veto")
    terminal.press(b"bad\rq")
    assert terminal.wait(20) == 0
    assert [edit.decision.reason for edit in run.edits() if edit.decision] == ["bad"]


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


def test_the_palette_takes_a_second_enter_for_none(review: tuple[Run, Terminal]) -> None:
    run, terminal = review
    terminal.press(b"\x10")
    terminal.until("Search")
    terminal.press(b"live")
    terminal.until("Live (screen)")
    terminal.quiet(0.3)
    terminal.press(b"\r\r\r")
    terminal.until(lambda: "Search" not in terminal.text and "Executor" in terminal.text, 20)
    terminal.press(b"q")
    assert terminal.wait(20) == 0
    assert {edit.state for edit in run.edits()} == {"pending"}
