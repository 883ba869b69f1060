"""What a job is: the work of one run, from where it may be resumed to its end.

    class CountJob:
        async def run(self, context: JobContext) -> None:
            context.control.running()
            for game in range(context.done, 3):
                await context.control.gate()
                ...

`engine.worker` makes the job of the run's kind, without arguments, and emits how the run ends: finished, stopped, failed.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from engine.config import Config
from engine.jobs.control import Control
from engine.runs.directory import Run
from engine.runs.writer import EventWriter


class JobContext(msgspec.Struct, frozen=True):
    """What a job gets: the run, its configuration at the start, the writer of its events, and the control that people have
    over it.

    `done` is the last unit that is done and saved (`JobKind.resume_at`); the work continues after it.
    """

    run: Run
    config: Config
    writer: EventWriter
    control: Control
    done: int = 0

    @property
    def now(self) -> Config:
        """The configuration with what people changed since the start: see `engine.runs.changing`."""
        return self.control.config or self.config


class Job(Protocol):
    """The work of a kind of run."""

    async def run(self, context: JobContext) -> None:
        """Do the work that is left. Raises `StopRequested`, and a `SkillosError` for what a person should know."""
        ...
