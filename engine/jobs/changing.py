"""What the engine does with a command that changes a setting of its run.

    await carry_out(Change("training.steps", "60"), "ann", run, writer, control)

A setting changes on the event loop, between two awaits of the job, which reads it from `JobContext.now`. What cannot be done
is refused by a `Notice`, which the person who asked gets as the answer.
"""

from __future__ import annotations

import asyncio

from engine.core.errors import SkillosError
from engine.core.events import Notice, SettingChanged
from engine.jobs.control import Control
from engine.runs import changing
from engine.runs.commands import Change
from engine.runs.directory import Run
from engine.runs.writer import EventWriter


async def carry_out(command: Change, by: str, run: Run, writer: EventWriter, control: Control) -> None:
    """Change the setting as a person asked."""
    try:
        writer.emit(_changed(command, by, run, control))
    except SkillosError as error:
        writer.emit(Notice("warning", changing.refusal(command.key, str(error))))
    await asyncio.to_thread(writer.flush)


def _changed(command: Change, by: str, run: Run, control: Control) -> SettingChanged:
    """Change a setting of the running run. Raises `SkillosError` for a change that is not possible now."""
    before = control.config or run.config
    after = changing.changed(before, run.kind, command.key, command.value)
    if command.key == "training.steps":
        if control.last:
            raise SkillosError("the run has made its last step and ends now; add steps when it has ended")
        steps = changing.least_steps(after.training.steps, control.unit)
        after = changing.changed(before, run.kind, command.key, str(steps))
    event = changing.event_of(before, after, run.kind, command.key, by)
    changing.write(run, command.key, event.after)
    control.config = after
    return event
