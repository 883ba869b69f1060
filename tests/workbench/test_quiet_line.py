"""Frames of run events wait for the terminal's reply; frames that answer a key do not; and neither sends much."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.events import StateChanged
from engine.runs.directory import Run
from skillos_tui.terminal.driver import START_SECONDS
from tests.workbench.ptys import ANSWERS, Terminal
from tests.workbench.recording import add_step, record_training

STATUS = b"\x1b[5n"


class Withholding(Terminal):
    """A terminal that answers `CSI 5 n` only while `answering`; `owed` counts what it was asked meanwhile."""

    answering, owed = True, 0

    def reply(self, answer: bytes) -> None:
        if answer == b"\x1b[0n" and not self.answering:
            self.owed += 1
        else:
            super().reply(answer)

    def pay(self) -> None:
        self.answering, owed, self.owed = True, self.owed, 0
        self.press(b"\x1b[0n" * owed)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with record_training(tmp_path / "run", steps=1, planned=99, state="running") as run:
        yield run


def started(terminal: Terminal) -> None:
    """Wait until the first frames are over, which wait for nothing."""
    terminal.until("r_task")
    until = time.monotonic() + START_SECONDS
    terminal.until(lambda: time.monotonic() > until)


@pytest.mark.slow
def test_a_live_frame_waits_for_the_reply_and_the_answer_to_a_key_does_not(run: Run) -> None:
    with Withholding(str(run.path), "--theme", "dark") as terminal:
        started(terminal)
        terminal.answering = False
        add_step(run, 2)
        terminal.until(lambda: terminal.owed)
        terminal.quiet(0.5)
        sent = len(terminal.output)
        add_step(run, 3)
        add_step(run, 4)
        terminal.quiet(1.0)
        assert len(terminal.output) == sent
        terminal.press(b"?")
        terminal.until("On the live screen")
        terminal.press(b"q")
        terminal.until(lambda: "On the live screen" not in terminal.text)
        terminal.pay()
        add_step(run, 5)
        terminal.until("step 5 of 99")
        terminal.press(b"q")
        assert terminal.wait() == 0


@pytest.mark.slow
def test_a_terminal_that_never_answers_is_shown_everything_and_asked_a_few_times(run: Run) -> None:
    answers = {question: answer for question, answer in ANSWERS.items() if question != STATUS}
    with Terminal(str(run.path), "--theme", "dark", answers=answers) as terminal:
        started(terminal)
        for step in range(2, 8):
            add_step(run, step)
            terminal.until(f"step {step} of 99")
        assert terminal.output.count(STATUS) < 20
        asked = terminal.output.count(STATUS)
        add_step(run, 8)
        terminal.until("step 8 of 99")
        assert terminal.output.count(STATUS) == asked


def test_dialogs_send_their_box_and_nothing_is_sent_while_nothing_happens(run: Run) -> None:
    run.append(StateChanged("finished"))
    with Terminal(str(run.path), "--theme", "dark") as terminal:
        started(terminal)
        for keys, wanted in ((b"?", True), (b"q", False), (b"?", True), (b"\x1b", False)):
            terminal.quiet(0.3)
            sent = len(terminal.output)
            terminal.quiet(0.3)
            assert len(terminal.output) == sent
            terminal.press(keys)
            terminal.until(lambda wanted=wanted: ("On the live screen" in terminal.text) is wanted)  # type: ignore[misc]
            terminal.quiet(0.3)
            assert 1_000 < len(terminal.output) - sent < 12_000
        whole = terminal.text
        sent = len(terminal.output)
        terminal.screen.reset()
        terminal.press(b"\x0c")
        terminal.until(lambda: terminal.text == whole)
