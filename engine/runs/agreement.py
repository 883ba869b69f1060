"""How far a run's judge and the rubric agree on the same decisions: `agreement(status.ended)`.

The rubric answers the judge's questions by rules, so the two scores should rise together. Where they do not, one of them
measures something else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from engine.core.events import StepEnded


LEAST = 20
"""The decisions from which on a rank correlation is given; with fewer, chance alone often gives one of 0.4 and more."""


class Agreement(msgspec.Struct, frozen=True):
    """Over `decisions` that both scored: `difference` is the mean absolute difference of the two scores, in [0, 1], `ranks`
    Spearman's rank correlation, in [-1, 1]; None with the reason `unmeasured`."""

    decisions: int
    difference: float
    ranks: float | None
    unmeasured: str = ""


def agreement(steps: Iterable[StepEnded]) -> Agreement | None:
    """The agreement over steps; None where no decision was scored twice."""
    pairs: Counter[tuple[float, float]] = Counter()
    for step in steps:
        for pair in step.judged_twice:
            pairs[pair.judge, pair.check] += pair.decisions
    return agreement_of(pairs)


def agreement_of(pairs: Counter[tuple[float, float]]) -> Agreement | None:
    """The agreement over decisions, counted by the scores of the judge and of the rubric; None without a decision."""
    count = pairs.total()
    if count <= 0:
        return None
    difference = sum(abs(judge - check) * times for (judge, check), times in pairs.items()) / count
    if count < LEAST:
        return Agreement(count, difference, None, f"{LEAST} are needed")
    ranks = spearman(pairs)
    return Agreement(count, difference, ranks, "" if ranks is not None else "one of the two gave a single score")


def spearman(pairs: Mapping[tuple[float, float], int]) -> float | None:
    """Spearman's rank correlation of pairs that occur so many times; equal values share their mean rank. None where one side
    has a single value."""
    firsts, seconds = (_ranks(pairs, side) for side in (0, 1))
    middle = (sum(pairs.values()) + 1) / 2
    points = [(firsts[one] - middle, seconds[other] - middle, times) for (one, other), times in pairs.items()]
    spread = sum(x * x * times for x, _, times in points) * sum(y * y * times for _, y, times in points)
    return sum(x * y * times for x, y, times in points) / spread**0.5 if spread else None


def _ranks(pairs: Mapping[tuple[float, float], int], side: int) -> dict[float, float]:
    """The mean rank of each value of one side, from 1 on."""
    counts: Counter[float] = Counter()
    for pair, times in pairs.items():
        counts[pair[side]] += times
    ranks, before = {}, 0
    for value in sorted(counts):
        ranks[value] = before + (counts[value] + 1) / 2
        before += counts[value]
    return ranks
