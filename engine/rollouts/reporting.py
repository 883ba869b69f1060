"""Sinks between the rollouts and the log: they pass every event on and add progress and warnings.

    emit = LossWarnings(writer.emit)                # one notice for each kind of loss, the first time it happens
    emit = Pace(emit, "rollouts", total=160)        # how many episodes have ended, at a bounded rate

The faults of a whole run are read from its log: `nothing_trained(run)`, `never_curated(run)`.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Literal

from engine.core.events import (
    AnyEvent,
    CurationMade,
    CurationSkipped,
    EpisodeEnded,
    EpisodeStarted,
    Notice,
    PositionId,
    Progress,
    Sink,
    StepEnded,
    StepStarted,
    UpdateMade,
)
from engine.core.text import counted
from engine.rollouts.rewards import NO_DECISION
from engine.runs.directory import Run
from engine.runs.status import updates
from engine.runs.text import place

PACE_SECONDS = 0.3


class Pace:
    """Emits how many of `total` episodes have ended: at the first, at the last, and about every 0.3 s."""

    def __init__(self, emit: Sink, phase: Literal["measuring", "rollouts"], total: int) -> None:
        self._emit = emit
        self._phase = phase
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self._report(self._began)

    def __call__(self, event: AnyEvent) -> None:
        self._emit(event)
        if isinstance(event, EpisodeEnded):
            self._done += 1
            now = time.monotonic()
            if self._done == self._total or now - self._reported >= PACE_SECONDS:
                self._report(now)

    def _report(self, now: float) -> None:
        self._reported = now
        self._emit(
            Progress(self._phase, done=self._done, total=self._total, unit="episodes", seconds=now - self._began)
        )


class LossWarnings:
    """Warns once of each kind of loss: an unmeasured episode, a missing decision, a shortened prompt, skills left out, a
    step of which most decisions were not judged, or that trained nothing.

    The steps' summaries count the others.
    """

    def __init__(self, emit: Sink) -> None:
        self._emit = emit
        self._reported: set[str] = set()
        self._found: dict[PositionId, list[str]] = {}
        self._judged = 0
        self._unjudged: list[str] = []

    def __call__(self, event: AnyEvent) -> None:
        self._emit(event)
        match event:
            case EpisodeStarted(at=at, skills=skills):
                self._found[at] = [skill.name for skill in skills]
            case EpisodeEnded(at=at):
                self._episode(at, event)
            case CurationMade(at=at):
                self._curation(at, event)
            case CurationSkipped(at=at, reason=reason):
                if self._found.pop(at, None) is not None:
                    self._warn("skipped", f"{place(at)}: the curator made no decision: {reason}")
            case StepStarted():
                self._judged, self._unjudged = 0, []
            case StepEnded(step=step):
                self._judging(step)
            case UpdateMade(step=step) if why := untrained(event):
                self._warn("untrained", f"step {step} trained nothing: {why}; a run in which no step trains fails")

    def _episode(self, at: PositionId, ended: EpisodeEnded) -> None:
        if not ended.outcome.measured:
            self._found.pop(at, None)  # it is not curated either, and needs no second warning
            self._warn(
                "unmeasured", f"{place(at)}: the episode is {ended.outcome}, which is neither success nor failure"
            )
        if ended.shortened:
            self._warn("shortened", f"{place(at)}: the executor's prompt was over its limit and leaves something out")
        self._left_out(at, ended.shown or [], ended.turns > 0, "executor")

    def _curation(self, at: PositionId, made: CurationMade) -> None:
        if made.judge is not None:
            self._judged += not at.held_out
        elif made.judge_reason != NO_DECISION and not at.held_out:
            self._unjudged.append(made.judge_reason)
        if made.shown is not None:
            self._left_out(at, made.shown, True, "curator")
        found = self._found.pop(at, [])
        fewer = made.shown is not None and len(made.shown) < len(found)
        if made.dropped_turns or made.dropped_vetoes or fewer:
            self._warn("shortened", f"{place(at)}: the curator's prompt was over its limit and leaves something out")

    def _judging(self, step: int) -> None:
        """Warn where the judge did not score more than half of a step's decisions."""
        lost, all_ = len(self._unjudged), len(self._unjudged) + self._judged
        if 2 * lost > all_:
            ((why, count),) = Counter(self._unjudged).most_common(1)
            most = f"{counted(count, 'time')}: {why}"
            self._warn(
                "unjudged", f"step {step}: the judge did not score {lost} of {counted(all_, 'decision')} ({most})"
            )

    def _left_out(self, at: PositionId, shown: list[str], asked: bool, role: str) -> None:
        missing = [name for name in self._found.get(at, []) if name not in shown] if asked else []
        if missing:
            names = ", ".join(missing)
            self._warn("dropped", f"{place(at)}: these skills were found and not shown to the {role}: {names}")

    def _warn(self, kind: str, message: str) -> None:
        if kind not in self._reported:
            self._reported.add(kind)
            self._emit(Notice("warning", f"{message}. Later cases are counted in their step: skillos-engine status"))


def untrained(made: UpdateMade) -> str:
    """Why an update changed nothing; "" where it changed the curator."""
    return made.skipped or ("" if made.samples else "the curator made no decision")


def nothing_trained(run: Run) -> str:
    """Why none of a train run's steps trained anything; "" where one did, or where there is none."""
    reasons = [untrained(made) for made in updates(run).values()]
    if not reasons or not all(reasons):
        return ""
    none = "the only step has not" if len(reasons) == 1 else f"none of the {len(reasons)} steps"
    return f"{none} trained anything: {reasons[0]}{_first_skipped(run)}"


def never_curated(run: Run) -> str:
    """Why a curate run has no decision of its curator at all; "" where it has one, or has ended no task."""
    tasks = len(run.steps())
    if not tasks or run.events(limit=1, kinds=["curation_made"]):
        return ""
    where = "the only task" if tasks == 1 else f"any of the {tasks} tasks"
    return f"the curator made no decision in {where}{_first_skipped(run)}"


def _first_skipped(run: Run) -> str:
    """The first reason in the log for a decision that was not made, to be put at a sentence's end."""
    for stored in run.stream(kinds=["curation_skipped"]):
        if isinstance(stored.event, CurationSkipped) and not stored.event.at.held_out:
            return f" ({place(stored.event.at)}: {stored.event.reason})"
    return ""
