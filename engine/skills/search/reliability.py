"""Search that also asks how reliable a skill has proved, by the lower end of Wilson's interval.

    trials = SkillUsage()
    found = find(index, trials, task.prompt, k=5, weight=0.3)
    trials.record([name for name, _ in found], outcome)

A skill's trials are the measured tasks that it was shown for, under its name; their successes are those that succeeded.
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
    """The lower end of the two-sided score interval for a success rate, in [0, 1].

    With p = successes/trials and the normal quantile z it is (p + z²/2n − z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n), from
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209–212.
    Raises `ValueError` without trials or with more successes than trials: that is no rate.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes of {trials} trials is no success rate")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate, spread = successes / trials, z * z / trials
    half = z * math.sqrt((rate * (1 - rate) + spread / 4) / trials)
    return max(0.0, (rate + spread / 2 - half) / (1 + spread))


class SkillUsage:
    """How the tasks went that each skill was shown for."""

    def __init__(self) -> None:
        self._trials: Counter[str] = Counter()
        self._successes: Counter[str] = Counter()

    def record(self, names: Iterable[str], outcome: Outcome) -> None:
        """A task that the skills `names` were shown for; an unmeasured outcome is no trial."""
        if outcome.measured:
            for name in names:
                self._trials[name] += 1
                self._successes[name] += outcome == SUCCEEDED

    def lower_bound(self, name: str) -> float | None:
        """Wilson's lower bound of the skill's success rate; None is unmeasured, which is not 0."""
        trials = self._trials[name]
        return wilson_lower_bound(self._successes[name], trials) if trials else None


def find(index: SkillIndex, trials: SkillUsage, query: str, k: int, weight: float) -> list[tuple[str, float]]:
    """`index.search`, re-ranked: a score becomes score · (1 − weight + weight · lower bound), of the best `DEPTH` · k.

    A skill that is unmeasured counts as the mean of the measured ones found beside it, so that a new skill is neither
    trusted nor buried; where none is measured nothing changes. Ties stay as the search has them. `weight` is in [0, 1]; at
    0 this is the search alone.
    """
    if weight == 0:
        return index.search(query, k)
    found = index.search(query, DEPTH * k)
    bounds = {name: trials.lower_bound(name) for name, _ in found}
    measured = [bound for bound in bounds.values() if bound is not None]
    if not measured:
        return found[:k]
    usual = sum(measured) / len(measured)
    factors = {name: 1 - weight + weight * (usual if bound is None else bound) for name, bound in bounds.items()}
    return sorted(((name, score * factors[name]) for name, score in found), key=lambda pair: -pair[1])[:k]
