"""No decision is taken but those that a person took: late replies, pastes and reports are no keys."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.runs.directory import Run
from engine.runs.log import Stored
from tests.workbench.ptys import ANSWERS, ATTRIBUTES, BACKGROUND, Delayed, Terminal, keep
from tests.workbench.recording import record_training

REPLIES = (
    BACKGROUND,
    BACKGROUND.replace(b"\x1b\\", b"\x07"),
    ATTRIBUTES,
    b"\x1b[0n",
    b"\x1b[24;80R",
    b"\x1b[?2026;2$y",
    b"\x1bP>|av u\x1b\\",
    b"\x1b_Gi=1;avu\x1b\\",
    b"\x1b]52;c;YXZ1\x07",
)
HARMLESS = (
    *(b"j", b"k", b"g", b"G", b"\t", b"\x1b[Z", b"\x1b[A", b"\x1b[B", b"\x1b[5~", b"\x1b[6~", b"\x1bOP", b"\x1b[1;2R"),
    *(b"\x1b[<35;10;10M", b"\x1b[<64;10;10M", b"\x1b[I", b"\x1b[O", b"x", b"0", b"\x1bx", "é".encode()),
)
PASTED = b"\x1b[200~av\x1b[Au\raavvuu r\x1b]11;\x07 yyy\n\x1b[201~"
UNMARKED = b"please approve all of them, veto none, undo nothing\r"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with record_training(tmp_path / "run", steps=2) as run:
        yield run


def decisions(run: Run) -> list[Stored]:
    """What was decided in this run."""
    return run.tail(-1, ["edit_decided"])


def check_that_one_key_is_one_decision(terminal: Terminal, run: Run) -> None:
    """The program still listens: r opens the review, and one a there approves one edit."""
    terminal.press(b"r")
    terminal.until("Trajectory")
    until = time.monotonic() + 1.5
    terminal.until(lambda: time.monotonic() > until)
    assert decisions(run) == []
    terminal.press(b"a")
    terminal.until(lambda: decisions(run))
    terminal.quiet(0.5)
    assert len(decisions(run)) == 1


class Splitting(Terminal):
    """A terminal that sends some things in two pieces. Its answers come before or after a thing, never between."""

    def __init__(self, *arguments: str, **options: Any) -> None:
        self.held: list[bytes] = []
        self.sending = False
        super().__init__(*arguments, **options)

    def reply(self, answer: bytes) -> None:
        if self.sending:
            self.held.append(answer)
        else:
            super().reply(answer)

    def press(self, keys: bytes) -> None:
        self.press_split(keys, len(keys), None)

    def press_split(self, keys: bytes, cut: int, seconds: float | None = 0.0) -> None:
        """Send the first `cut` bytes, and the rest after so many seconds."""
        self.sending = True
        super().press(keys[:cut])
        if seconds is not None:
            self.read(seconds)
        super().press(keys[cut:])
        while self.held:
            super().press(self.held.pop(0))
        self.sending = False


@pytest.mark.slow
def test_ten_thousand_events_without_a_decision_key_decide_nothing(run: Run, tmp_path: Path) -> None:
    dice = random.Random(11)
    with Splitting(str(run.path), environment=keep(tmp_path)) as terminal:
        terminal.until("Executor")
        terminal.press(b"r")
        terminal.until("Trajectory")
        for count in range(10_000):
            kind = dice.random()
            if kind < 0.85:
                reply = dice.choice(REPLIES)
                terminal.press_split(reply, dice.randrange(3, len(reply)), 0.15 if count % 400 == 0 else 0.0)
            elif kind < 0.95:
                terminal.press_split(PASTED, dice.randrange(3, len(PASTED)))
            elif kind < 0.952:
                terminal.read(0.01)
                terminal.press(UNMARKED)
                terminal.read(0.3)
            else:
                terminal.press(dice.choice(HARMLESS))
            terminal.read(0.0)
        terminal.quiet(0.5)
        assert "Trajectory" in terminal.text
        terminal.press(b"\x1b")
        terminal.until("Executor")
        check_that_one_key_is_one_decision(terminal, run)
        terminal.press(b"q")
        assert terminal.wait() == 0


@pytest.mark.parametrize("cut", [1, 13])
def test_the_late_reply_about_the_background_is_no_key_wherever_it_is_split(cut: int, run: Run, tmp_path: Path) -> None:
    """The first byte alone is the escape key, which leads home; `test_input` tries all places."""
    silent = dict.fromkeys(ANSWERS, b"")  # no terminal sends another reply in the middle of one
    with Terminal(str(run.path), answers=silent, environment=keep(tmp_path)) as terminal:
        terminal.until("Executor")
        terminal.quiet(0.3)
        late = BACKGROUND + ATTRIBUTES
        terminal.press(late[:cut])
        if cut == 1:
            terminal.until(lambda: "Executor" not in terminal.text)
        terminal.quiet(0.25)
        terminal.press(late[cut:])
        terminal.quiet(0.25)
        assert "On the" not in terminal.text and "Trajectory" not in terminal.text
        terminal.until(lambda: ("Executor" in terminal.text) is (cut > 1))
        terminal.press(b"?")
        terminal.until("On the live screen" if cut > 1 else "On the home screen")
    assert decisions(run) == []


def test_what_is_typed_while_the_question_is_open_is_kept(run: Run, tmp_path: Path) -> None:
    silent = {**ANSWERS, b"\x1b]11;?\x1b\\": b"", b"\x1b[c": b""}
    with Terminal(str(run.path), answers=silent, environment=keep(tmp_path)) as terminal:
        terminal.until(b"\x1b]11;?")
        terminal.press(b"?")
        terminal.until("On the live screen")
    assert b"^[" not in terminal.output


def test_pasted_text_is_typed_where_text_is_typed(run: Run, tmp_path: Path) -> None:
    with Terminal(str(run.path), "--theme", "dark", environment=keep(tmp_path)) as terminal:
        terminal.until("Executor")
        terminal.press(UNMARKED)
        terminal.until("not taken for keys")
        terminal.quiet(0.5)
        terminal.press(b"\x10")  # ctrl+p, the palette
        terminal.until("Search")
        terminal.press(b"\x1b[200~Switch between\x1b[201~")
        terminal.until("Switch between")
        terminal.press(b"\x15")
        terminal.quiet(0.4)
        terminal.press(b"abcdefghijklmnopqrstuvwxyz")
        terminal.until("abcdefghijklmnopqrstuvwxyz")
    assert decisions(run) == []


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.2, 1.0, 3.0])
def test_a_line_that_delays_every_byte_takes_no_decision(delay: float, run: Run, tmp_path: Path) -> None:
    with Delayed(str(run.path), delay=delay, environment=keep(tmp_path)) as terminal:
        terminal.until("Executor", 60)
        until = time.monotonic() + 4 * delay + 0.5
        terminal.until(lambda: time.monotonic() > until)
        assert "Executor" in terminal.text
        terminal.press(b"?")
        terminal.until("On the live screen")
        terminal.press(b"q")
        terminal.until(lambda: "On the live screen" not in terminal.text)
        check_that_one_key_is_one_decision(terminal, run)
        terminal.press(b"q")
        assert terminal.wait(30) == 0
