"""Calls a person who looks elsewhere: when an edit waits, an alarm rises, a run pauses by itself or ends.

    watch = Watch()
    watch.begin(view, state)                    # what is there already calls nobody
    for call in watch.look(view, state): ...    # "3 edits wait for review", "alarm zero_std: …", "the run has finished"
    for call in RunsWatch().look(runs): ...     # on Home, of each run: "the run has finished: 215134-train-pocket"

How is a person's choice, in `attention.toml` of the configuration folder:

    bell = true            # the terminal's bell
    notify = true          # OSC 9, a notification of the desktop in terminals that have it
    command = ""           # a command, which gets the text as its last argument
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING

import msgspec

from engine.core.errors import SkillosError
from engine.core.text import counted
from skillos_tui.render.text import clip, safe, short_name
from skillos_tui.toml import Lines, TomlFault, read_toml

if TYPE_CHECKING:
    from engine.runs.status import ShownState
    from engine.runs.supervisor import RunSummary
    from skillos_tui.model.view import RunView

FILE = "attention.toml"
MAX_TEXT = 200
MAX_SAID = 300
"""The most bytes of a failed command's error output that are shown."""
COMMAND_SECONDS = 30.0
SAID_SECONDS = 0.5
"""How long to wait for the error output of a command that has ended: a process that it started may keep it open."""
ENDED = {
    "finished": "the run has finished",
    "failed": "the run has failed",
    "stopped": "the run has stopped",
    "interrupted": "the run's engine is gone; the run can be resumed",
}


class AttentionError(SkillosError):
    """The file, or the command of a person, cannot be used; the message says which and why."""


class How(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a person is called."""

    bell: bool = True
    notify: bool = True
    command: str = ""


def read_how(path: Path) -> How:
    """What a person's file says; without a file the defaults. Raises `AttentionError`, which names the line."""
    try:
        text, values = read_toml(path)
    except FileNotFoundError:
        return How()
    except OSError as error:
        raise AttentionError(f"{path} cannot be read: {error.strerror}") from error
    except TomlFault as error:
        raise AttentionError(f"{path} cannot be used: {error}") from error
    for name, value in values.items():
        if why := _wrong(name, value):
            raise AttentionError(f"{path} cannot be used: line {Lines(text)[name]}: {why}")
    return msgspec.convert(values, How)


def _wrong(name: str, value: object) -> str:
    """What is wrong with a setting of the file; "" where it can be used."""
    if name not in How.__struct_fields__:
        return f"there is no {name!r}; there are {', '.join(How.__struct_fields__)}"
    if name != "command":
        return "" if isinstance(value, bool) else f"{name} is true or false, without quotes"
    if not isinstance(value, str):
        return "command is a text in quotes"
    try:
        words = shlex.split(value)
    except ValueError as error:
        return f"the command cannot be split into words: {error}"
    return "" if words or not value else "the command has no word"


@dataclass
class Watch:
    """What a person knows of already. `waiting` are the edits, `alarms` the names of alarms, `state` the run's state."""

    waiting: set[str] = field(default_factory=set)
    alarms: set[str] = field(default_factory=set)
    state: str = ""

    def begin(self, view: RunView, state: ShownState) -> None:
        """Take what is there for known."""
        self.waiting = {edit.id for edit in view.pending}
        self.alarms = {alarm.name for alarm in view.alarms}
        self.state = state

    def look(self, view: RunView, state: ShownState) -> list[str]:
        """What a person is to be called for. Edits call once, until none waits any more."""
        calls = []
        waiting = {edit.id for edit in view.pending}
        if waiting - self.waiting and not self.waiting & waiting:
            calls.append(_waiting(len(waiting)))
        calls += [f"alarm {each.name}: {each.message}" for each in view.alarms if each.name not in self.alarms]
        calls += _of_state(self.state, state, view.reason)
        self.begin(view, state)
        return calls


@dataclass
class RunsWatch:
    """What a person who looks at the list of runs knows of them: by path, a run's state, and whether edits wait."""

    known: dict[str, tuple[str, bool]] = field(default_factory=dict)

    def look(self, runs: Iterable[RunSummary]) -> list[str]:
        """What a person is to be called for; a run that is seen for the first time calls nobody."""
        calls = []
        for run in runs:
            if (status := run.status) is None:
                continue
            state, waited = self.known.get(run.path, (status.state, True))
            self.known[run.path] = (status.state, bool(status.pending_reviews))
            name = short_name(Path(run.path).name)
            if status.pending_reviews and not waited:
                calls.append(f"{_waiting(status.pending_reviews)} in {name}")
            calls += [f"{call}: {name}" for call in _of_state(state, status.state, status.reason)]
        return calls


def _of_state(before: str, state: str, reason: str) -> list[str]:
    """What a person is called for when a run has gone from one state to another."""
    if state == before:
        return []
    if state in ENDED:
        return [ENDED[state]]
    return [f"the run is paused: {reason.strip()}"] if state == "paused" and reason.strip() else []


def _waiting(count: int) -> str:
    """The call for so many edits that wait."""
    return f"{counted(count, 'edit')} {'waits' if count == 1 else 'wait'} for review"


def sequences(how: How, text: str, *, tmux: bool) -> str:
    """What is written to the terminal for a call; inside tmux, OSC 9 is passed through to the terminal outside."""
    notice = f"\x1b]9;SkillOS: {clip(safe(text), MAX_TEXT)}\x07"
    if tmux:
        notice = "\x1bPtmux;" + notice.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return ("\x07" if how.bell else "") + (notice if how.notify else "")


def run_command(command: str, text: str) -> None:
    """Run a person's command with the text as its last argument. Raises `AttentionError`, with the command's error output.

    What it starts in the background may go on. A command that does not end in time is killed with all that it started.
    """
    said = bytearray()
    try:
        process = subprocess.Popen(
            [*shlex.split(command), clip(safe(text), MAX_TEXT)],
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise AttentionError(f"the command of {FILE} failed: {error}") from error
    assert process.stderr is not None
    reader = Thread(target=_read_all, args=(process.stderr, said), name="ring errors", daemon=True)
    reader.start()
    try:
        status = process.wait(COMMAND_SECONDS)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise AttentionError(
            f"the command of {FILE} was killed, since it did not end within {COMMAND_SECONDS:g} s: {command}"
        ) from error
    if status:
        reader.join(SAID_SECONDS)
        words = safe(" ".join(said.decode(errors="replace").split()))
        raise AttentionError(
            f"the command of {FILE} ended with status {status}: {command}{f': {words}' if words else ''}"
        )


def _read_all(file: IO[bytes], said: bytearray) -> None:
    """Read a command's error output to its end, so that the command never waits; keep the beginning in `said`."""
    with file:
        while data := file.read(1 << 16):
            said += data[: MAX_SAID - len(said)]
