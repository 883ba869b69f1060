"""The program in a terminal of its own: what it asks the terminal, what it says at the end, and what outlives it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread, Timer

import pytest
from textual.drivers.linux_driver import LinuxDriver

from engine.runs.commands import Stop
from engine.runs.directory import Run
from skillos_tui.terminal.driver import TerminalDriver
from tests.workbench.ptys import ANSWERS, WORKBENCH, Terminal, keep
from tests.workbench.recording import record_training

LIGHT = b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\"
DARK = b"\x1b]11;rgb:0000/0000/0000\x1b\\"
ATTRIBUTES = b"\x1b[?62;22c"
LIGHT_PAPER, DARK_PAPER = b"48;2;251;250;247", b"48;2;20;22;26"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with record_training(tmp_path / "run", steps=2, state="running") as run:
        yield run


@pytest.mark.parametrize(
    ("answers", "paper"),
    [(LIGHT + ATTRIBUTES, LIGHT_PAPER), (DARK + ATTRIBUTES, DARK_PAPER), (ATTRIBUTES, DARK_PAPER), (b"", DARK_PAPER)],
)
def test_the_theme_follows_the_terminal_and_is_dark_without_a_reply(run: Run, answers: bytes, paper: bytes) -> None:
    said = {**ANSWERS, b"\x1b]11;?\x1b\\": answers, b"\x1b[c": b""}
    with Terminal(str(run.path), answers=said) as terminal:
        terminal.until(paper)
        terminal.until("Executor")
        terminal.press(b"q")
        assert terminal.wait() == 0


@pytest.mark.parametrize("theme", [(), ("--theme", "dark")])
def test_enter_that_was_typed_before_the_program_began_is_enter(run: Run, theme: tuple[str, ...]) -> None:
    begin = ("sh", "-c", 'echo ready; read -r line; exec "$@"', "sh", *WORKBENCH)
    with Terminal("--home", "--runs", str(run.path.parent), *theme, command=begin) as terminal:
        terminal.until("ready")
        terminal.press(b"\r\r")  # the first is the shell's
        terminal.until("Executor")
        terminal.press(b"q")
        assert terminal.wait() == 0


def test_a_named_theme_asks_nothing(run: Run) -> None:
    with Terminal(str(run.path), "--theme", "light") as terminal:
        terminal.until(LIGHT_PAPER)
        assert b"\x1b]11;?" not in terminal.output
        terminal.press(b"q")
        assert terminal.wait() == 0


def test_a_terminal_that_repeats_characters_shows_the_same_and_is_sent_less(run: Run, tmp_path: Path) -> None:
    shown, sent = [], []
    for repeats in (False, True):
        home = keep(tmp_path / f"home-{repeats}")
        with Terminal(str(run.path), "--theme", "light", environment=home, repeats=repeats) as terminal:
            terminal.until("r_task")
            terminal.quiet(0.5)  # the report of the cursor has come, and what was painted before it too
            before = len(terminal.output)
            terminal.press(b"6")
            terminal.until("what the executor does alone")
            terminal.quiet(0.5)
            shown.append(terminal.text.splitlines()[1:])
            sent.append(len(terminal.output) - before)
            terminal.press(b"q")
            assert terminal.wait() == 0
    assert shown[0] == shown[1] and sent[1] < 0.85 * sent[0]


@pytest.mark.parametrize("reply", [b"", b"\x1b[2;6R", b"\x1b[2;2R"])
def test_a_late_report_of_the_cursor_is_no_key_also_where_it_never_comes(run: Run, reply: bytes) -> None:

    class Late(Terminal):
        def reply(self, answer: bytes) -> None:
            if answer.endswith(b"R"):
                self.owed = reply
            else:
                super().reply(answer)

    with Late(str(run.path), "--theme", "light") as terminal:
        terminal.until("Executor")
        terminal.press(b"q")
        time.sleep(0.05)
        terminal.press(terminal.owed)
        assert terminal.wait() == 0
        assert "R" not in terminal.farewell


def test_leaving_prints_that_the_engine_continues(run: Run) -> None:
    with run.lock(), Terminal(str(run.path), "--theme", "dark") as terminal:
        terminal.until("running")
        terminal.quiet(0.5)  # the engine's process is looked at after the events were read
        terminal.press(b"q")
        assert terminal.wait() == 0
        assert terminal.farewell == f"The engine continues. To return: skillos-tui {run.path}\n"
        assert terminal.restored


def test_a_terminal_that_is_closed_takes_the_program_with_it(run: Run) -> None:
    terminal = Terminal(str(run.path), "--theme", "dark")
    terminal.until("Executor")
    os.close(terminal.file)
    os.waitpid(terminal.pid, 0)


@pytest.mark.slow
def test_enter_trains_and_the_engine_outlives_the_terminal(tmp_path: Path) -> None:
    home = tmp_path / "runs"
    with Terminal("--runs", str(home), "--theme", "dark") as terminal:
        terminal.until("No runs yet")
        terminal.press(b"\r")
        terminal.until("position 1", 60)
    (path,) = home.iterdir()
    with Run.open(path) as run, Terminal("--runs", str(home), "--theme", "dark") as again:
        engine = run.engine()
        assert engine is not None
        seen = run.last_id()
        deadline = time.monotonic() + 120
        while run.last_id() == seen:
            assert time.monotonic() < deadline, "the engine writes no more"
            time.sleep(0.1)
        assert run.engine() == engine
        again.until("● running")
        again.press(b"\r")
        again.until("Executor")
        run.send(Stop(), "test")
        again.until("■ stopped", 60)
        again.press(b"q")
        again.wait()


def test_a_program_that_ends_at_once_waits_for_its_reader_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LinuxDriver, "disable_input", lambda driver: None)
    monkeypatch.setattr(TerminalDriver, "_read_last_replies", lambda driver: None)
    driver = TerminalDriver.__new__(TerminalDriver)
    driver._wake, driver._reader = os.pipe(), Thread(target=lambda: None)
    driver._key_thread = Timer(0.2, driver._reader.start)
    driver._key_thread.start()
    driver.disable_input()
    assert driver._wake is None and not driver._reader.is_alive()
