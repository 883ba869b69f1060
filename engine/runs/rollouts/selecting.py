"""Which rollouts are shown: by their reward, and by what happened in them.

found = rewards(run, spans)                       # r of every rollout of the run
found = rewards(run, spans, found)                # later: only what was written since is read
bars = histogram(found, 12)                       # how many have which r
chosen = Selection(low=0.5, high=0.8, outcome="failed", text="mug")
matching(run, spans, chosen)                      # the spots of the rollouts that fit all of it
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from engine.core.events import EpisodeEnded, EpisodeStarted, RolloutScored
from engine.core.outcomes import Outcome
from engine.core.position import Spot
from engine.runs.directory import Run
from engine.runs.rollouts.spans import Spans

OutcomeName = Literal["", "succeeded", "failed", "unmeasured"]
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Widths that a bar of a histogram may have."""


class Rewards(msgspec.Struct, frozen=True):
    """The rewards of a run's rollouts up to event `read`: by (step, first event of its span), r by (group, rollout); None
    where it was not measured. `measured` are the finite ones in order, `unscored` is the number of the others."""

    by_span: dict[tuple[int, int], dict[tuple[int, int], float | None]] = {}
    read: int = 0
    measured: Sequence[float] = ()
    unscored: int = 0


class Bar(msgspec.Struct, frozen=True):
    """How many rollouts have an r in [low, high); both None: of those whose r was not measured."""

    low: float | None
    high: float | None
    count: int


class Selection(msgspec.Struct, frozen=True):
    """What a rollout must be: its r in [low, high) or unmeasured (`unscored`), one of its episodes with this outcome, with
    an invalid action, with the skill `shown` in its prompt, and with `text` in its task or its family, upper and lower case
    alike. The four concern the same episode."""

    low: float | None = None
    high: float | None = None
    unscored: bool = False
    outcome: OutcomeName = ""
    invalid: bool = False
    text: str = ""
    shown: str = ""

    @property
    def by_reward(self) -> bool:
        """Whether it selects by r."""
        return self.low is not None or self.unscored

    @property
    def by_episode(self) -> bool:
        """Whether it selects by what happened."""
        return bool(self.outcome or self.invalid or self.text or self.shown)

    @property
    def empty(self) -> bool:
        """Whether it selects everything."""
        return not (self.by_reward or self.by_episode)

    def takes(self, r: float | None) -> bool:
        """Whether this reward is wanted."""
        if self.unscored:
            return r is None
        if self.low is None or self.high is None:
            return True
        return r is not None and self.low <= r < self.high


def rewards(run: Run, spans: Spans, before: Rewards | None = None) -> Rewards:
    """The rewards of all rollouts; those of steps that a resume undid are left out. `before` is an earlier answer for the
    same run."""
    before = before or Rewards()
    if spans.read < before.read:  # the log was replaced by a repaired one
        before = Rewards()
    keys = [(span.step, span.first) for span in spans.by_key.values() if not span.held_out]
    found = {key: dict(before.by_span.get(key, {})) for key in keys}
    new = [first - 1 for step, first in keys if (step, first) not in before.by_span]  # it may be known only at its end
    for stored in run.stream(min([before.read, *new]), ["rollout_scored"], spans.read):
        event = stored.event
        if not isinstance(event, RolloutScored):
            continue
        span = spans.by_key.get((False, event.step))
        if span is not None and span.first <= stored.id <= (span.last or stored.id):
            found[span.step, span.first][event.group, event.rollout] = event.rewards.r
    every = [r for of_step in found.values() for r in of_step.values()]
    measured = sorted(r for r in every if r is not None and math.isfinite(r))
    return Rewards(found, spans.read, measured, len(every) - len(measured))


def histogram(found: Rewards, bars: int) -> list[Bar]:
    """At most `bars` bars of equal width over all measured rewards, the lowest first, and one more for the unmeasured ones,
    if there are any. The bounds are multiples of a round width, so that they change little while a run goes on."""
    last = [Bar(None, None, found.unscored)] if found.unscored else []
    if not found.measured:
        return last
    low, high = found.measured[0], found.measured[-1]
    edges = next(filter(None, (_edges(low, high, width, bars) for width in STEPS)), _narrow(low, high, bars))
    places = [bisect_left(found.measured, edge) for edge in edges]
    return [Bar(edges[at], edges[at + 1], places[at + 1] - places[at]) for at in range(len(edges) - 1)] + last


def _edges(low: float, high: float, width: float, bars: int) -> list[float]:
    """The multiples of a width around these values; empty where that are more than `bars` bars."""
    if not high / width - low / width <= bars:
        return []
    first = math.floor(low / width)
    first -= round(first * width, 10) > low
    edges = [round(first * width, 10)]
    while edges[-1] <= high and len(edges) <= bars + 1:
        edges.append(round((first + len(edges)) * width, 10))
    return edges if len(edges) <= bars + 1 else []


def _narrow(low: float, high: float, bars: int) -> list[float]:
    """The bounds of bars for values that no round width fits."""
    width = high / bars - low / bars
    return [low, *(low + at * width for at in range(1, bars)), math.nextafter(high, math.inf)]


def matching(run: Run, spans: Spans, chosen: Selection) -> frozenset[Spot]:
    """The rollouts that fit a selection. One by episodes reads the beginnings and ends of all episodes of the run."""
    by_reward: set[Spot] | None = None
    if chosen.by_reward:
        by_reward = {
            Spot(step, False, group, rollout)
            for (step, _), of_step in rewards(run, spans).by_span.items()
            for (group, rollout), r in of_step.items()
            if chosen.takes(r)
        }
    if not chosen.by_episode:
        return frozenset(by_reward or ())
    found = {spot for spot in _episodes(run, spans, chosen) if by_reward is None or spot in by_reward}
    return frozenset(found)


def _episodes(run: Run, spans: Spans, chosen: Selection) -> Iterable[Spot]:
    """The rollouts with an episode that fits."""
    wanted = chosen.text.casefold()
    kinds = ["episode_started", "episode_ended"] if wanted else ["episode_ended"]
    fitting: set[object] = set()
    ends = chosen.outcome or chosen.invalid or chosen.shown
    for stored in run.stream(kinds=kinds, until=spans.read):
        event = stored.event
        if not isinstance(event, EpisodeStarted | EpisodeEnded):
            continue
        span = spans.by_key.get((event.at.held_out, event.at.step))
        if span is None or not span.first <= stored.id <= (span.last or stored.id):
            continue
        spot = Spot(event.at.step, event.at.held_out, event.at.group, event.at.rollout)
        if isinstance(event, EpisodeStarted):
            if _has(event, wanted):
                fitting.add(event.at)
                if not ends:
                    yield spot
        elif ends and (not wanted or event.at in fitting) and _is(event, chosen):
            yield spot


def _has(event: EpisodeStarted, wanted: str) -> bool:
    return any(wanted in text.casefold() for text in (event.prompt, event.family, event.task))


def _is(event: EpisodeEnded, chosen: Selection) -> bool:
    kind: Outcome = event.outcome
    if chosen.shown and chosen.shown not in (event.shown or ()):
        return False
    return chosen.outcome in ("", kind.kind) and (not chosen.invalid or event.invalid_actions > 0)
