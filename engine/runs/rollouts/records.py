"""One position with everything that the log has of it: the episode, the decision, the edits.

    record = read_position(run, span, row)
    record.turns[0].action, record.curation, record.edits

Turns are read from the events between the episode's beginning and its end only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

from engine.core.calls import DamagedCalls, unpack
from engine.core.edit import Edit
from engine.core.events import (
    CallsKept,
    CompletionMade,
    CurationMade,
    CurationSkipped,
    EpisodeEnded,
    EpisodeStarted,
    ModelCall,
    PositionId,
    TurnTaken,
)
from engine.runs.directory import Run
from engine.runs.log import Stored
from engine.runs.rollouts.levels import PositionRow
from engine.runs.rollouts.spans import Span
from engine.runs.rows import EditRow, rows

EPISODE = ("episode_started", "turn_taken", "episode_ended", "completion_made", "calls_kept")
EPISODE_EVENTS = (EpisodeStarted, TurnTaken, EpisodeEnded, CallsKept, CompletionMade, CurationMade, CurationSkipped)
DECISION = ("curation_made", "curation_skipped", "completion_made", "calls_kept")


class PositionRecord(msgspec.Struct, frozen=True):
    """A position. `turns` are in order, `times` are the unix times at which each was logged, `began` and `ended_at` those of
    the episode; NaN where the log cannot say. `edits` are those that it proposed to the review queue, `asked` the prompts
    and answers that the log keeps, and `lost` why some of them cannot be read, "" otherwise."""

    started: EpisodeStarted
    turns: list[TurnTaken] = []
    times: list[float] = []
    began: float = 0.0
    ended: EpisodeEnded | None = None
    ended_at: float | None = None
    completions: list[CompletionMade] = []
    curation: CurationMade | None = None
    curated_at: float | None = None
    skipped: CurationSkipped | None = None
    edits: list[Edit] = []
    asked: list[ModelCall] = []
    lost: str = ""

    def asked_at(self, turn: int) -> list[ModelCall]:
        """The calls of a turn, counted from 1; of the curation strategy for 0."""
        return [call for call in self.asked if call.turn == turn]

    def seconds(self, turn: int) -> float | None:
        """Seconds from the event before a turn to the turn, `turn` from 0; None where the log cannot say. In a lockstep the
        other rollouts play in this time too."""
        if not 0 <= turn < len(self.times):
            return None
        seconds = self.times[turn] - (self.times[turn - 1] if turn else self.began)
        return seconds if seconds >= 0 else None


def read_position(run: Run, span: Span, row: PositionRow) -> PositionRecord | None:
    """The record of a position; None where the log does not have its beginning. Raises `RunError`."""
    found = _At(row.at)
    until = span.last or None
    for stored in run.stream(row.first - 1, EPISODE, row.last or until):
        found.take(stored)
    if row.last:
        for stored in run.stream(row.last, DECISION, until):
            found.take(stored)
            if found.decision is not None:
                break
    if any(made.phase == "before" for made in found.completions):  # asked before the episode began
        for stored in run.stream(span.first, ["calls_kept"], row.first):
            found.take(stored)
    return found.record(_edits(run, row.at))


class _At:
    """The events of one position, as they are read."""

    def __init__(self, at: PositionId) -> None:
        self.at = at
        self.started: EpisodeStarted | None = None
        self.began = math.nan
        self.turns: dict[int, tuple[TurnTaken, float]] = {}
        self.ended: EpisodeEnded | None = None
        self.ended_at: float | None = None
        self.completions: list[CompletionMade] = []
        self.asked: list[ModelCall] = []
        self.lost = ""
        self.decision: CurationMade | CurationSkipped | None = None
        self.decided_at: float | None = None

    def take(self, stored: Stored) -> None:
        """Keep an event, if it is of this position."""
        event = stored.event
        if isinstance(event, EPISODE_EVENTS) and event.at == self.at:
            self._keep(event, stored.at)

    def _keep(self, event: object, at: float) -> None:
        match event:
            case EpisodeStarted():
                self.started, self.began, self.turns, self.ended, self.completions = event, at, {}, None, []
            case TurnTaken():
                self.turns[event.turn] = event, at
            case EpisodeEnded():
                self.ended, self.ended_at = event, at
            case CompletionMade():
                self.completions.append(event)
            case CallsKept():
                try:
                    self.asked += unpack(event.packed)
                except DamagedCalls as error:
                    self.lost = str(error)
            case CurationMade() | CurationSkipped():
                self.decision, self.decided_at = event, at

    def record(self, edits: list[Edit]) -> PositionRecord | None:
        """What was found; None without the episode's beginning."""
        if self.started is None:
            return None
        turns = [self.turns[number] for number in sorted(self.turns)]
        decision = self.decision
        return PositionRecord(
            self.started,
            [turn for turn, _ in turns],
            [at for _, at in turns],
            self.began,
            self.ended,
            self.ended_at,
            self.completions,
            decision if isinstance(decision, CurationMade) else None,
            self.decided_at,
            decision if isinstance(decision, CurationSkipped) else None,
            edits,
            self.asked,
            self.lost,
        )


def _edits(run: Run, at: PositionId) -> list[Edit]:
    """The edits of the review queue that a position proposed; an edit that cannot be read is left out."""
    mark = f'"step":{at.step},'
    found = rows(run.db, "edits", EditRow, "WHERE instr(CAST(data AS TEXT), ?) > 0 ORDER BY event", [mark])
    return [row.data for row in found.values if row.data.provenance.position == at]


def decisions(run: Run, span: Span, positions: Sequence[PositionRow]) -> Iterator[tuple[PositionId, CurationMade]]:
    """The decisions of some positions of a span, for a rollout's reward."""
    wanted = {row.at for row in positions}
    first = min((row.last for row in positions if row.last), default=0)
    if not first:
        return
    for stored in run.stream(first, ["curation_made"], span.last or None):
        if isinstance(stored.event, CurationMade) and stored.event.at in wanted:
            wanted.discard(stored.event.at)
            yield stored.event.at, stored.event
            if not wanted:
                return
