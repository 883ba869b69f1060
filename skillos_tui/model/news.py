"""A summary of the events since a person left a run, as one line.

news(events, before, "step")    # "since you left: 12 steps, 4 new edits wait, held-out 0.320 → 0.410, paused 2 times"
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.events import (
    AnyEvent,
    EditDecided,
    EditProposed,
    HeldOutMeasured,
    Notice,
    StateChanged,
    StepEnded,
    UpdateMade,
)
from engine.core.text import counted

KINDS = (
    "step_ended",
    "update_made",
    "edit_proposed",
    "edit_decided",
    "held_out_measured",
    "state_changed",
    "notice",
)
"""The kinds of events that are summarised; all of them are few."""
ENDS = ("stopped", "finished", "failed")


def news(events: list[AnyEvent], before: list[AnyEvent], unit: str) -> str:
    """The line about `events`, which are of `KINDS`; "" when there is nothing to report.

    `before` holds the last held-out measurement before them, `unit` is what the run counts.
    """
    said = [part for part in (*_work(events, unit), *_held_out(before, events), *_state(events)) if part]
    return f"since you left: {', '.join(said)}" if said else ""


def _work(events: list[AnyEvent], unit: str) -> Iterable[str]:
    steps = {event.step for event in events if isinstance(event, StepEnded)}
    yield counted(len(steps), unit) if steps else ""
    skipped = {event.step for event in events if isinstance(event, UpdateMade) and event.skipped}
    yield f"{counted(len(skipped), 'update')} skipped" if skipped else ""
    waiting: set[str] = set()
    decided: set[str] = set()
    for event in events:
        if isinstance(event, EditProposed):
            waiting.add(event.edit)
        elif isinstance(event, EditDecided):
            waiting.discard(event.edit)
            decided |= {event.edit} if event.decision != "superseded" else set()
    yield f"{counted(len(waiting), 'new edit')} wait{'s' if len(waiting) == 1 else ''}" if waiting else ""
    yield f"{counted(len(decided), 'edit')} decided" if decided else ""


def _held_out(before: list[AnyEvent], events: list[AnyEvent]) -> Iterable[str]:
    measured = [event.r_task for event in events if isinstance(event, HeldOutMeasured)]
    if measured:
        first = [event.r_task for event in before if isinstance(event, HeldOutMeasured)]
        ends = [*(first or measured[:1]), *(measured[-1:] if first or len(measured) > 1 else [])]
        yield "held-out " + " → ".join("n/m" if value is None else f"{value:.3f}" for value in ends)


def _state(events: list[AnyEvent]) -> Iterable[str]:
    states = [event for event in events if isinstance(event, StateChanged)]
    paused = sum(event.state == "paused" for event in states)
    yield f"paused {counted(paused, 'time')}" if paused else ""
    last = states[-1] if states else None
    if last is not None and last.state in ENDS:
        yield f"{last.state}{f' ({last.reason.strip()[:80]})' if last.reason.strip() else ''}"
    serious = sum(isinstance(event, Notice) and event.level != "info" for event in events)
    yield counted(serious, "warning") if serious else ""
