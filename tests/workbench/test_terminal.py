"""The program in a terminal of its own: what it asks the terminal, what it says at the end, and what outlives it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs.commands import Stop
from engine.runs.store import Run
from tests.workbench.recording import record_training

LIGHT = b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\"
DARK = b"\x1b]11;rgb:0000/0000/0000\x1b\\"
ATTRIBUTES = b"\x1b[?62;22c"
LIGHT_PAPER, DARK_PAPER = b"48;2;251;250;247", b"48;2;20;22;26"


class Terminal:
    """A pseudo-terminal of 100 by 30 with the workbench in it; `answers` is what it says when asked for its colours."""

    def __init__(self, *arguments: str, answers: bytes = DARK + ATTRIBUTES) -> None:
        self.output, self.answers = b"", answers
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which these tests may have been told to ignore
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", PYTHONPATH=str(Path(__file__).parents[2]))
            os.execv(sys.executable, [sys.executable, "-m", "skillos_tui.app", *arguments])
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))

    def until(self, wanted: bytes, seconds: float = 120.0) -> None:
        """Read until the output holds `wanted`, answering the question for the background."""
        deadline = time.monotonic() + seconds
        while wanted not in self.output:
            assert time.monotonic() < deadline, f"waited for {wanted!r}; got {self.output[-500:]!r}"
            if select.select([self.file], [], [], 0.1)[0]:
                self._read()

    def _read(self) -> None:
        try:
            data = os.read(self.file, 65536)
        except OSError:
            return
        self.output += data
        if b"\x1b]11;?" in data:
            os.write(self.file, self.answers)

    def press(self, keys: bytes) -> None:
        os.write(self.file, keys)

    def wait(self, seconds: float = 120.0) -> int:
        """The exit status, once the program has ended."""
        deadline = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return status
            assert time.monotonic() < deadline, "the program did not end"
            if select.select([self.file], [], [], 0.05)[0]:
                self._read()

    def hang_up(self) -> None:
        """Close the terminal under the program, as a dropped line does."""
        os.close(self.file)
        os.waitpid(self.pid, 0)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with record_training(tmp_path / "run", steps=2, state="running") as run:
        yield run


@pytest.mark.parametrize(
    ("answers", "paper"),
    [(LIGHT + ATTRIBUTES, LIGHT_PAPER), (DARK + ATTRIBUTES, DARK_PAPER), (ATTRIBUTES, DARK_PAPER), (b"", DARK_PAPER)],
)
def test_the_theme_follows_the_terminal_and_is_dark_where_it_does_not_tell(
    run: Run, answers: bytes, paper: bytes
) -> None:
    terminal = Terminal(str(run.path), answers=answers)
    terminal.until(paper)
    terminal.until(b"Executor")
    terminal.press(b"q")
    assert terminal.wait() == 0


def test_a_named_theme_asks_nothing(run: Run) -> None:
    terminal = Terminal(str(run.path), "--theme", "light")
    terminal.until(LIGHT_PAPER)
    assert b"\x1b]11;?" not in terminal.output
    terminal.press(b"q")
    assert terminal.wait() == 0


def test_leaving_says_that_the_engine_goes_on(run: Run) -> None:
    with run.lock():
        terminal = Terminal(str(run.path), "--theme", "dark")
        terminal.until(b"running")
        terminal.press(b"q")
        terminal.until(b"The engine goes on. See it again: skillos-tui " + str(run.path).encode())
        assert terminal.wait() == 0


def test_a_terminal_that_is_closed_takes_the_program_with_it(run: Run) -> None:
    terminal = Terminal(str(run.path), "--theme", "dark")
    terminal.until(b"Executor")
    terminal.hang_up()


@pytest.mark.slow
def test_enter_trains_and_the_engine_outlives_the_terminal(tmp_path: Path) -> None:
    home = tmp_path / "runs"
    terminal = Terminal("--runs", str(home), "--theme", "dark")
    terminal.until(b"No runs yet")
    terminal.press(b"\r")
    terminal.until(b"position 1")
    (path,) = home.iterdir()
    with Run.open(path) as run:
        engine = run.engine()
        assert engine is not None
        os.kill(terminal.pid, signal.SIGKILL)
        os.waitpid(terminal.pid, 0)
        seen = run.last_id()
        deadline = time.monotonic() + 120
        while run.last_id() == seen:
            assert time.monotonic() < deadline, "the engine writes no more"
            time.sleep(0.1)
        assert run.engine() == engine
        again = Terminal("--runs", str(home), "--theme", "dark")
        again.until("● running".encode())
        again.press(b"\r")
        again.until(b"Executor")
        run.send(Stop(), "test")
        again.until("■ stopped".encode())
        again.press(b"q")
        again.wait()
