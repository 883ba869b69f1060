"""The finished steps of a run as the screens show them: columns over all steps, and the last steps whole.

    history = History()
    history.end(event)                # a `StepEnded`
    history.update(event)             # an `UpdateMade`
    history.cut(4)                    # the run was resumed from step 4
    history.r_task, history.last      # one value per step, and the newest summary

A run has thousands of steps. The summaries of all of them take memory, and each garbage collection and each repaint would
look at all of them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import msgspec

from engine.core.errors import SkillosError

if TYPE_CHECKING:
    from engine.core.events import JudgedTwice, StepEnded, UpdateMade

KEPT = 200
"""So many of the last steps are kept whole."""
MOST = 1_000_000
"""A step with a higher number is damage: a column has a value for each step."""

Kept = TypeVar("Kept")


class NoSuchStep(SkillosError):
    """An event of a step with an impossible number."""


class History(msgspec.Struct):
    """The finished steps. `r` and `r_task` have one value per step, from step 1 on: None where it was not measured, or where
    the step left no summary.

    `steps` and `updates` hold the newest summaries and updates by step, in their order. `skipped` are the steps whose update
    did not change the weights, `with_people` those with a person's word in their reward. `judged_twice` holds the scores of
    the judge and of the rubric by step, for the steps where both scored.
    """

    r: list[float | None] = msgspec.field(default_factory=list)
    r_task: list[float | None] = msgspec.field(default_factory=list)
    steps: dict[int, StepEnded] = msgspec.field(default_factory=dict)
    updates: dict[int, UpdateMade] = msgspec.field(default_factory=dict)
    skipped: set[int] = msgspec.field(default_factory=set)
    with_people: set[int] = msgspec.field(default_factory=set)
    judged_twice: dict[int, list[JudgedTwice]] = msgspec.field(default_factory=dict)
    pairs: Counter[tuple[float, float]] = msgspec.field(default_factory=Counter)
    """How often the judge and the rubric gave these two scores, over all steps."""

    @property
    def newest(self) -> int:
        """The number of the newest step that ended; 0 before the first."""
        return len(self.r)

    @property
    def last(self) -> StepEnded | None:
        """The summary of the newest step; None before the first."""
        return self.steps.get(self.newest)

    def end(self, step: StepEnded) -> None:
        """Enter a step that ended; the same one may be entered again. Raises `NoSuchStep`."""
        number = step.step
        if not 0 < number <= MOST:
            raise NoSuchStep(f"a run has no step {number}")
        missing = number - len(self.r)
        if missing > 0:
            self.r += [None] * missing
            self.r_task += [None] * missing
        self.r[number - 1], self.r_task[number - 1] = step.rewards.r, step.rewards.r_task
        _enter(self.with_people, number, step.rewards.r_human is not None)
        self._judge(number, step.judged_twice)
        _keep(self.steps, number, step)

    def update(self, update: UpdateMade) -> None:
        """Enter the update of a step."""
        _enter(self.skipped, update.step, bool(update.skipped))
        _keep(self.updates, update.step, update)

    def cut(self, last: int) -> None:
        """Take back the steps after this one: the run was resumed from it."""
        del self.r[max(0, last) :], self.r_task[max(0, last) :]
        for table in (self.steps, self.updates):
            for number in [number for number in table if number > last]:
                del table[number]
        for found in (self.skipped, self.with_people):
            found -= {number for number in found if number > last}
        for number in [number for number in self.judged_twice if number > last]:
            self._judge(number, [])

    def _judge(self, number: int, scores: list[JudgedTwice]) -> None:
        for pair in self.judged_twice.pop(number, ()):
            self.pairs[pair.judge, pair.check] -= pair.decisions
        self.pairs = +self.pairs
        for pair in scores:
            self.pairs[pair.judge, pair.check] += pair.decisions
        if scores:
            self.judged_twice[number] = scores


def _enter(found: set[int], number: int, holds: bool) -> None:
    if holds:
        found.add(number)
    else:
        found.discard(number)


def _keep(table: dict[int, Kept], number: int, value: Kept) -> None:
    """Keep a value, and the newest `KEPT` of the table."""
    table[number] = value
    if len(table) > KEPT:
        del table[min(table)]
