"""Where each step and each held-out measurement of a run is in its log.

    found = spans(run)               # a few events a step are read, whatever the run's length
    found = spans(run, found)        # later: what was written since
    found.all                        # oldest first; those that a resume undid are left out
    found.find(spot)                 # the span of a step, or of a measurement

A step begins with `StepStarted`, a measurement with `MeasurementStarted`. A job of another package may emit neither: then a
unit ends with `UnitEnded` or `StepEnded`, and what follows the last one is found by its episodes.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from engine.core.events import (
    AnyEvent,
    EpisodeStarted,
    HeldOutMeasured,
    MeasurementStarted,
    RunStarted,
    StepEnded,
    StepStarted,
    UnitEnded,
    Unreadable,
)
from engine.core.position import Spot
from engine.runs.directory import Run

KINDS = ("run_started", "step_started", "step_ended", "unit_ended", "measurement_started", "held_out_measured")
"""The kinds of events that spans are made of."""

Key = tuple[bool, int]
"""Whether it is a held-out measurement, and its step."""


class Span(msgspec.Struct, frozen=True, gc=False):
    """A step or a measurement in the log: its events have ids from `first` to `last`; a `last` of 0 is still to come.

    `begun`: the log has its beginning; then `groups` is how many groups were drawn. `ended` is its summary, None before.
    """

    step: int
    held_out: bool
    first: int
    last: int = 0
    begun: bool = False
    groups: int = 0
    ended: StepEnded | UnitEnded | HeldOutMeasured | None = None

    @property
    def key(self) -> Key:
        """What identifies the span in its run."""
        return self.held_out, self.step

    @property
    def spot(self) -> Spot:
        """The place of the step, or of the measurement."""
        return Spot(self.step, self.held_out)


class Spans(msgspec.Struct, frozen=True):
    """The spans of a run up to event `read`. `edge` is the newest start of an engine, or the end of a unit that had no
    beginning: what an earlier engine played and did not finish is not looked for."""

    by_key: dict[Key, Span] = {}
    read: int = 0
    edge: int = 0

    @property
    def all(self) -> list[Span]:
        """Every span, in the order of the log."""
        return sorted(self.by_key.values(), key=lambda span: span.first)

    def find(self, spot: Spot) -> Span | None:
        """The span that a spot is in; None where the log has none."""
        return self.by_key.get((spot.held_out, spot.step))


def spans(run: Run, before: Spans | None = None) -> Spans:
    """Where the steps and measurements are. `before` is an earlier answer for the same run; only what was written since is
    read. Raises `RunError`."""
    before = before or Spans()
    until = run.last_id()
    if until < before.read:  # the log was replaced by a repaired one
        before = Spans()
    table, edge = dict(before.by_key), before.edge
    for stored in run.stream(before.read, KINDS, until):
        edge = _fold(table, edge, stored.id, stored.event)
    return Spans(_with_episodes(run, table, edge, until), until, edge)


def _fold(table: dict[Key, Span], edge: int, number: int, event: AnyEvent | Unreadable) -> int:
    """Apply one event to the table; returns the new edge."""
    match event:
        case RunStarted(resumed_from=last):
            for key in [key for key in table if key[1] > last]:
                del table[key]
            _close(table, number - 1)
            return number
        case StepStarted() | MeasurementStarted():
            _close(table, number - 1)
            span = Span(event.step, isinstance(event, MeasurementStarted), number, 0, True, len(event.groups))
            table[span.key] = span
        case HeldOutMeasured(step=step):
            _end(table, (True, step), edge, number, event)
        case StepEnded(step=step) | UnitEnded(step=step):
            if _end(table, (False, step), edge, number, event):
                return number
    return edge


def _close(table: dict[Key, Span], last: int) -> None:
    """Something else begins after event `last`: the newest span ends there."""
    for key in [key for key, span in table.items() if not span.last]:
        table[key] = msgspec.structs.replace(table[key], last=last)


def _end(
    table: dict[Key, Span], key: Key, edge: int, number: int, event: StepEnded | UnitEnded | HeldOutMeasured
) -> bool:
    """Note the summary of a span; true where the log did not have its beginning."""
    span = table.get(key)
    if span is None or not span.begun:
        first = span.first if span else number if key[0] else edge + 1
        table[key] = Span(key[1], key[0], first, number, ended=event)
        return not key[0]
    table[key] = msgspec.structs.replace(span, ended=event)
    return False


def _with_episodes(run: Run, table: dict[Key, Span], edge: int, until: int) -> dict[Key, Span]:
    """The table with the spans of episodes after the last unit that had no beginning, where no span has begun since."""
    begun = max((span.first for span in table.values() if span.begun), default=0)
    if begun > edge or not run.tail(1, ["episode_started"], until):
        return table
    found: dict[Key, Span] = {}
    for key, number in _episodes(run, edge, until):
        if key not in found and key not in table:
            _close(found, number - 1)
            found[key] = Span(key[1], key[0], number)
    return {**table, **found}


def _episodes(run: Run, after: int, until: int) -> Iterable[tuple[Key, int]]:
    for stored in run.stream(after, ["episode_started"], until):
        if isinstance(stored.event, EpisodeStarted):
            yield (stored.event.at.held_out, stored.event.at.step), stored.id
