"""Kills this process with SIGKILL at a chosen point of an engine's work.

    set_trap(Trap("checkpoint", occurrence=2, operation=5, seconds=None), notes)

An engine passes through phases, which its own events begin. A trap waits until a phase begins for the n-th time in this
process, and then kills at the n-th file operation among the checkpoints (at the latest when the phase ends), or after so
many seconds. The phase in which the process really died is the last line of the file `notes`, which also has each phase that
passed, with its seconds and file operations.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from engine.core.events import (
    AdapterPublished,
    AnyEvent,
    CheckpointSaved,
    HeldOutMeasured,
    MeasurementStarted,
    Progress,
    StepEnded,
    StepStarted,
)
from engine.runs.writer import EventWriter

PHASES = ("loading", "rollouts", "update", "checkpoint", "publish", "measurement", "retention")
FILE_PHASES = ("checkpoint", "publish", "retention")
OPERATIONS = (
    "open",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.chmod",
    "os.listdir",
    "os.scandir",
    "shutil.rmtree",
)


class Trap(msgspec.Struct, frozen=True):
    """Where to kill: in the `occurrence`-th time of `phase`, at its file operation `operation`, or after `seconds`. Without
    both nothing is killed."""

    phase: str = ""
    occurrence: int = 1
    operation: int | None = None
    seconds: float | None = None


def phase_after(event: AnyEvent, now: str) -> str:
    """The phase that begins with an event; `now` where none does."""
    match event:
        case StepStarted():
            return "rollouts"
        case Progress(phase="update"):
            return "update"
        case StepEnded():
            return "checkpoint"
        case AdapterPublished() if now == "publish":
            return "retention"
        case MeasurementStarted():
            return "measurement"
        case HeldOutMeasured() | CheckpointSaved() if now in ("measurement", "publish", "retention"):
            return "retention"
    return now


class Watch:
    """Follows the phases of this process."""

    def __init__(self, trap: Trap, notes: Path) -> None:
        self._trap = trap
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()
        self._phase, self._began, self._operations = "", time.monotonic(), 0
        self._times = dict.fromkeys(PHASES, 0)
        self._armed = False
        self.enter("loading")

    def enter(self, phase: str) -> None:
        """A phase begins."""
        with self._lock:
            if phase == self._phase:
                return
            if self._armed and self._trap.operation is not None:
                self.kill()  # the phase had fewer operations this time
            if self._phase:
                self._note(passed=self._phase, seconds=time.monotonic() - self._began, operations=self._operations)
            self._phase, self._began, self._operations = phase, time.monotonic(), 0
            self._times[phase] += 1
            self._armed = (phase, self._times[phase]) == (self._trap.phase, self._trap.occurrence)
        if self._armed and self._trap.seconds is not None:
            threading.Timer(self._trap.seconds, self.kill).start()

    def heard(self, event: AnyEvent) -> None:
        """An event is emitted."""
        self.enter(phase_after(event, self._phase))

    def operation(self, name: str, arguments: tuple[Any, ...]) -> None:
        """A hook for audit events: a file operation is about to happen."""
        if name not in OPERATIONS or not arguments or "checkpoints" not in str(arguments[0]):
            return
        self._operations += 1
        if self._armed and self._operations == self._trap.operation:
            self.kill()
        if name == "os.rename" and "step-" in str(arguments[1]) and self._phase == "checkpoint":
            self.enter("publish")

    def kill(self) -> None:
        """End this process at once."""
        self._note(killed=self._phase)
        os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, **fields: object) -> None:
        os.write(self._notes, json.dumps(fields).encode() + b"\n")


def set_trap(trap: Trap, notes: Path) -> None:
    """Watch the engine that this process becomes, and kill it where `trap` says."""
    watch = Watch(trap, notes)
    emit = EventWriter.emit

    def heard(self: EventWriter, event: AnyEvent) -> None:
        emit(self, event)
        watch.heard(event)

    EventWriter.emit = heard  # type: ignore[method-assign]
    sys.addaudithook(watch.operation)
