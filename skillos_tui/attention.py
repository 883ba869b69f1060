"""Calls a person who looks elsewhere: when an edit waits, an alarm rises, a run pauses by itself or ends.

    watch = Watch()
    watch.begin(view, state)                    # what is there already calls nobody
    for call in watch.look(view, state): ...    # "3 edits wait for review", "alarm zero_std: …", "the run has finished"

How is a person's choice, in `attention.toml` of the configuration folder:

    bell = true            # the terminal's bell
    notify = true          # OSC 9, a notification of the desktop in terminals that have it
    command = ""           # a command, which gets the text as its last argument
"""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.core.errors import SkillosError
from engine.core.text import counted
from skillos_tui.render.text import clip, safe
from skillos_tui.toml import TomlFault, loads

if TYPE_CHECKING:
    from engine.runs.status import ShownState
    from skillos_tui.model.view import RunView

FILE = "attention.toml"
MAX_TEXT = 200
COMMAND_SECONDS = 30.0
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
    """What a person's file says; without a file the defaults. Raises `AttentionError`."""
    try:
        how = msgspec.convert(loads(path.read_text(encoding="utf-8")), How)
        shlex.split(how.command)
    except FileNotFoundError:
        return How()
    except (OSError, ValueError, TomlFault) as error:  # msgspec and shlex raise ValueErrors
        raise AttentionError(f"{path} cannot be used: {error}; it has bell, notify and command") from error
    return how


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
            calls.append(f"{counted(len(waiting), 'edit')} {'waits' if len(waiting) == 1 else 'wait'} for review")
        calls += [f"alarm {each.name}: {each.message}" for each in view.alarms if each.name not in self.alarms]
        if state != self.state and state in ENDED:
            calls.append(ENDED[state])
        elif state != self.state and state == "paused" and view.reason.strip():
            calls.append(f"the run is paused: {view.reason.strip()}")
        self.begin(view, state)
        return calls


def sequences(how: How, text: str, *, tmux: bool) -> str:
    """What is written to the terminal for a call; inside tmux, OSC 9 is passed through to the terminal outside."""
    notice = f"\x1b]9;SkillOS: {clip(safe(text), MAX_TEXT)}\x07"
    if tmux:
        notice = "\x1bPtmux;" + notice.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return ("\x07" if how.bell else "") + (notice if how.notify else "")


def run_command(command: str, text: str) -> None:
    """Run a person's command with the text as its last argument. Raises `AttentionError`."""
    try:
        done = subprocess.run(
            [*shlex.split(command), clip(safe(text), MAX_TEXT)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AttentionError(f"the command of {FILE} failed: {error}") from error
    if done.returncode:
        raise AttentionError(f"the command of {FILE} ended with status {done.returncode}: {command}")
