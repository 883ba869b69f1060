"""Which rollouts are shown: by their reward, and by what happened in them.

found = scores(run, spans)                        # r of every rollout of the run; cheap
bars = histogram(found, 12)                       # how many have which r
chosen = Selection(low=0.5, high=0.8, outcome="failed", text="mug")
matching(run, spans, chosen)                      # the spots of the rollouts that fit all of it
"""

from __future__ import annotations

import math
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


class Score(msgspec.Struct, frozen=True):
    """The reward of one rollout; `r` is None where it was not measured."""

    spot: Spot
    r: float | None


class Bar(msgspec.Struct, frozen=True):
    """How many rollouts have an r in [low, high); both None: of those whose r was not measured."""

    low: float | None
    high: float | None
    count: int


class Selection(msgspec.Struct, frozen=True):
    """What a rollout must be: its r in [low, high) or unmeasured (`unscored`), one of its episodes with this outcome, with
    an invalid action, and with `text` in its task or its family, upper and lower case alike. The three concern the same
    episode."""

    low: float | None = None
    high: float | None = None
    unscored: bool = False
    outcome: OutcomeName = ""
    invalid: bool = False
    text: str = ""

    @property
    def by_reward(self) -> bool:
        """Whether it selects by r."""
        return self.low is not None or self.unscored

    @property
    def by_episode(self) -> bool:
        """Whether it selects by what happened."""
        return bool(self.outcome or self.invalid or self.text)

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


def scores(run: Run, spans: Spans) -> list[Score]:
    """The rewards of all rollouts, in the order of the log; those of steps that a resume undid are left out."""
    found: dict[Spot, float | None] = {}
    for stored in run.stream(kinds=["rollout_scored"], until=spans.read):
        event = stored.event
        if not isinstance(event, RolloutScored):
            continue
        span = spans.by_key.get((False, event.step))
        if span is not None and span.first <= stored.id <= (span.last or stored.id):
            found[Spot(event.step, False, event.group, event.rollout)] = event.rewards.r
    return [Score(spot, r) for spot, r in found.items()]


def histogram(found: Sequence[Score], bars: int) -> list[Bar]:
    """At most `bars` bars of equal width over all measured rewards, the lowest first, and one more for the unmeasured ones,
    if there are any. The bounds are multiples of a round width, so that they change little while a run goes on."""
    values = [score.r for score in found if score.r is not None and math.isfinite(score.r)]
    unscored = len(found) - len(values)
    last = [Bar(None, None, unscored)] if unscored else []
    if not values:
        return last
    low, high = min(values), max(values)
    width = next((step for step in STEPS if _bars(low, high, step) <= bars), (high - low) / bars * 1.01)
    first = math.floor(low / width)
    counts = [0] * max(1, min(bars, _bars(low, high, width)))
    for value in values:
        counts[max(0, min(len(counts) - 1, math.floor(value / width) - first))] += 1
    edges = [round((first + at) * width, 10) for at in range(len(counts) + 1)]
    return [Bar(edges[at], edges[at + 1], count) for at, count in enumerate(counts)] + last


def _bars(low: float, high: float, width: float) -> int:
    """How many bars of this width reach from `low` to `high`."""
    return math.floor(high / width) - math.floor(low / width) + 1


def matching(run: Run, spans: Spans, chosen: Selection) -> frozenset[Spot]:
    """The rollouts that fit a selection. One by episodes reads the beginnings and ends of all episodes of the run."""
    by_reward: set[Spot] | None = None
    if chosen.by_reward:
        by_reward = {score.spot for score in scores(run, spans) if chosen.takes(score.r)}
    if not chosen.by_episode:
        return frozenset(by_reward or ())
    found = {spot for spot in _episodes(run, spans, chosen) if by_reward is None or spot in by_reward}
    return frozenset(found)


def _episodes(run: Run, spans: Spans, chosen: Selection) -> Iterable[Spot]:
    """The rollouts with an episode that fits."""
    wanted = chosen.text.casefold()
    kinds = ["episode_started", "episode_ended"] if wanted else ["episode_ended"]
    fitting: set[object] = set()
    ends = chosen.outcome or chosen.invalid
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
    return chosen.outcome in ("", kind.kind) and (not chosen.invalid or event.invalid_actions > 0)
