"""The alarms of a train run: checked after each step, logged, and a pause for those that `alarms.pause` names.

    watch = AlarmWatch(job)
    await watch.check(step)       # after everything of the step is in the log; the run pauses before the next step

What was raised before is read from the log, so a resumed run goes on as if it had not ended: an alarm is a notice when it is
raised, and pauses the run once, until it was over.
"""

from __future__ import annotations

import asyncio

from engine.core.events import Alarm, AlarmsChecked, Notice, StepEnded
from engine.jobs.job import JobContext
from engine.runs.directory import Run
from engine.runs.telemetry import StepMetrics, Telemetry
from engine.runs.text import alarm_line, alarm_notice
from engine.training.alarms.registry import check


class AlarmWatch:
    """Checks the alarms over the run's log."""

    def __init__(self, job: JobContext) -> None:
        self._job = job
        self._run = job.run
        self._settings = job.config.alarms
        self._writer = job.writer
        self._control = job.control
        self._telemetry = Telemetry()

    async def check(self, step: int) -> None:
        """Check the alarms after `step`, unless that was done or the step has not ended. Nothing pauses after the last
        step."""
        await asyncio.to_thread(self._writer.flush)
        await asyncio.to_thread(self._telemetry.follow, self._run)
        steps = self._telemetry.steps
        history = [steps[number] for number in sorted(steps) if number <= step]
        if step not in steps or steps[step].alarms is not None:
            return
        raised = check(history, self._settings)
        before = raised_before(history)
        if new := [alarm_notice(step, alarm) for alarm in raised if alarm.name not in before]:
            noted = await asyncio.to_thread(notices_after, self._run, step)
            for notice in new:
                if notice not in noted:
                    self._writer.emit(notice)
        self._writer.emit(AlarmsChecked(step, raised))
        await asyncio.to_thread(self._writer.flush)
        pausing = [alarm for alarm in raised if alarm.pauses and not _paused(before.get(alarm.name))]
        if pausing and step < self._job.now.training.steps:
            why = " ".join(map(alarm_line, pausing))
            self._control.pause(f"step {step}: {why} Resume the run to go on all the same")


def raised_before(history: list[StepMetrics]) -> dict[str, Alarm]:
    """The alarms that held when they were last checked, by name."""
    checked = [step.alarms for step in history if step.alarms is not None]
    return {alarm.name: alarm for alarm in checked[-1]} if checked else {}


def notices_after(run: Run, step: int) -> list[Notice]:
    """The notices since `step` last ended: those that an engine wrote which was killed before it wrote `AlarmsChecked`."""
    found: list[Notice] = []
    for stored in run.stream(kinds=["notice", "step_ended"]):
        match stored.event:
            case StepEnded(step=ended) if ended == step:
                found = []
            case Notice() as notice:
                found.append(notice)
    return found


def _paused(alarm: Alarm | None) -> bool:
    """Whether the run was paused for this alarm already."""
    return alarm is not None and alarm.pauses
