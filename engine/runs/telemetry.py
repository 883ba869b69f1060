"""Telemetry: what each step of a run left in its log. A resume that undid a step removes it here too.

telemetry = Telemetry()
telemetry.follow(run)                     # fold what was written since the last call
figures(telemetry.steps[3])["entropy"]    # engine.runs.metrics: None where it was not measured
"""

from __future__ import annotations

import math

import msgspec

from engine.core.events import (
    AdapterPublished,
    Alarm,
    AlarmsChecked,
    HeldOutMeasured,
    RunStarted,
    StepEnded,
    StepStarted,
    UpdateMade,
)
from engine.runs.directory import Run
from engine.runs.log import Stored

KINDS = (
    "run_started",
    "step_started",
    "update_made",
    "step_ended",
    "adapter_published",
    "held_out_measured",
    "alarms_checked",
)


class StepMetrics(msgspec.Struct, frozen=True, gc=False):
    """What one step that ended left in the log. None: not in the log, or not yet.

    `at` is when it ended, in unix time; None is not known. `published_after` is how many seconds later its adapter answered.
    `alarms` are those that hold after it; None before they are checked. `untrained` is the held-out evaluation before the
    first step, which the first step has.
    """

    ended: StepEnded
    update: UpdateMade | None = None
    published: AdapterPublished | None = None
    published_after: float | None = None
    held_out: HeldOutMeasured | None = None
    alarms: list[Alarm] | None = None
    at: float | None = None
    untrained: HeldOutMeasured | None = None

    @property
    def step(self) -> int:
        """The step's number."""
        return self.ended.step


class Telemetry:
    """The steps of a run that ended and that no resume undid, by number. `begun` is the newest step that began."""

    def __init__(self) -> None:
        self.steps: dict[int, StepMetrics] = {}
        self.begun = 0
        self.seen = 0
        self._updates: dict[int, UpdateMade] = {}
        self._untrained: HeldOutMeasured | None = None

    def follow(self, run: Run) -> bool:
        """Fold the events that were written since the last call; whether there were any."""
        before = self.seen
        for stored in run.stream(after=self.seen, kinds=KINDS):
            self.fold(stored)
        return self.seen != before

    def fold(self, stored: Stored) -> None:
        """Apply one event of the log; events come in its order."""
        self.seen, at = stored.id, stored.at if math.isfinite(stored.at) else None
        match stored.event:
            case RunStarted(resumed_from=last):
                self.begun = last
                self.steps = {step: found for step, found in self.steps.items() if step <= last}
                self._updates = {step: made for step, made in self._updates.items() if step <= last}
            case StepStarted(step=step):
                self.begun = step
            case UpdateMade(step=step) as update:
                self._updates[step] = update
            case StepEnded(step=step) as ended:
                first = self._untrained if step == 1 else None
                self.steps[step] = StepMetrics(ended, self._updates.pop(step, None), at=at, untrained=first)
            case HeldOutMeasured(step=0) as measured:
                self._untrained = measured
                self._replace(1, untrained=measured)
            case AdapterPublished(step=step) as published:
                self._publish(step, published, at)
            case HeldOutMeasured(step=step) as measured:
                self._replace(step, held_out=measured)
            case AlarmsChecked(step=step, alarms=alarms):
                self._replace(step, alarms=alarms)

    def _publish(self, step: int, published: AdapterPublished, at: float | None) -> None:
        """Note a publication. One that a resume repeats says nothing about the time that the first one took."""
        found = self.steps.get(step)
        if found is None:
            return
        after = found.published_after
        if found.published is None and at is not None and found.at is not None and at >= found.at:
            after = at - found.at
        self._replace(step, published=published, published_after=after)

    def _replace(self, step: int, **values: object) -> None:
        if step in self.steps:
            self.steps[step] = msgspec.structs.replace(self.steps[step], **values)


def last_step(run: Run, step: int) -> StepMetrics | None:
    """The metrics of the last step that ended, whose number is `step`, from the end of the log alone; None where the log
    does not have it."""
    limit = 64
    while True:
        newest = run.tail(limit, KINDS)
        telemetry = Telemetry()
        for stored in newest:
            telemetry.fold(stored)
        if len(newest) < limit or {step - 1, step} <= telemetry.steps.keys():
            return telemetry.steps.get(step)
        limit *= 8
