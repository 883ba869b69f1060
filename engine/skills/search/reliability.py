"""Search re-ranked by the reliability of each skill: the lower bound of Wilson's interval for its success rate.

    usage = SkillUsage()
    found = find(index, usage, task.prompt, k=5, weight=0.3)
    usage.record([name for name, _ in found], outcome)

The trials of a skill are the measured tasks for which it was shown, by name; its successes are those that succeeded.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from statistics import NormalDist

from engine.core.outcomes import SUCCEEDED, Outcome
from engine.skills.search.index import SkillIndex

CONFIDENCE = 0.95
DEPTH = 4


def wilson_lower_bound(successes: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The lower bound of the two-sided score interval for a success rate, in [0, 1].

    With p = successes/trials and the normal quantile z it is (p + z²/2n − z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n), from
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209–212.
    Raises `ValueError` without trials, or with more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes of {trials} trials is no success rate")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate, spread = successes / trials, z * z / trials
    half = z * math.sqrt((rate * (1 - rate) + spread / 4) / trials)
    return max(0.0, (rate + spread / 2 - half) / (1 + spread))


class SkillUsage:
    """For each skill, the number of tasks for which it was shown, and of those that succeeded."""

    def __init__(self) -> None:
        self._trials: Counter[str] = Counter()
        self._successes: Counter[str] = Counter()

    def record(self, names: Iterable[str], outcome: Outcome) -> None:
        """Count a task for which the skills `names` were shown. An unmeasured outcome is no trial."""
        if outcome.measured:
            for name in names:
                self._trials[name] += 1
                self._successes[name] += outcome == SUCCEEDED

    def lower_bound(self, name: str) -> float | None:
        """Wilson's lower bound of the skill's success rate. None means unmeasured, which is not 0."""
        trials = self._trials[name]
        return wilson_lower_bound(self._successes[name], trials) if trials else None


def find(index: SkillIndex, usage: SkillUsage, query: str, k: int, weight: float) -> list[tuple[str, float]]:
    """Re-rank the best `DEPTH` · k results of `index.search` by score · (1 − weight + weight · lower bound).

    An unmeasured skill gets the mean bound of the measured results, so that a new skill has neither an advantage nor a
    disadvantage. If no result is measured, the order does not change. Ties keep the order of the search. `weight` is in
    [0, 1]; 0 is the plain search.
    """
    if weight == 0:
        return index.search(query, k)
    found = index.search(query, DEPTH * k)
    bounds = {name: usage.lower_bound(name) for name, _ in found}
    measured = [bound for bound in bounds.values() if bound is not None]
    if not measured:
        return found[:k]
    mean = sum(measured) / len(measured)
    factors = {name: 1 - weight + weight * (mean if bound is None else bound) for name, bound in bounds.items()}
    return sorted(((name, score * factors[name]) for name, score in found), key=lambda pair: -pair[1])[:k]
