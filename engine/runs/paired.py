"""Paired comparison of two measurements of the same groups: the mean change, its interval, and what it could have shown.

    change = paired({"h0": 0.2, "h1": None}, {"h0": 0.4, "h1": 0.6})
    change.difference, change.low, change.high      # None, with `change.why`, where they cannot be had
    change.verdict                                  # "better", "worse", "no change shown", "not measured"
    sentence(change)                                # "better by 0.161 [0.081, 0.241], 32 groups"

A group is the unit: its tasks share a repository, so they are not independent. The interval is Student's t of the groups'
differences (n - 1 degrees of freedom), and p is that of a sign-flip test: exact up to 4,096 sign patterns, else of 10,000
seeded draws. Pure functions without files; equal input gives equal output.
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import product
from operator import getitem, mul
from statistics import fmean, stdev
from typing import Literal, TypeVar

import msgspec

from engine.core.numbers import rounded

LEAST_GROUPS = 3
"""Fewer pairs have no interval."""
LEVEL, POWER = 0.95, 0.80
EXACT = 12
"""Up to so many differences that are not 0, all sign patterns are counted."""
DRAWS = 10_000

Key = TypeVar("Key", bound=Hashable)
Verdict = Literal["better", "worse", "no change shown", "not measured"]


class Paired(msgspec.Struct, frozen=True):
    """The change from one measurement to another, over the groups that both have.

    `groups` are those, `left_out` the groups that only one side has measured. `difference` is the mean change of a group;
    `better` and `worse` count the groups that rose and fell. `low` to `high` is its 95 % interval, `p` two-sided, and
    `smallest` the effect that so many groups show with a power of 80 %, were the spread of the differences as it is. None:
    not known, and `why` says why.
    """

    groups: int
    left_out: int = 0
    difference: float | None = None
    better: int = 0
    worse: int = 0
    low: float | None = None
    high: float | None = None
    p: float | None = None
    smallest: float | None = None
    why: str = ""

    @property
    def verdict(self) -> Verdict:
        """What the interval says; "no change shown" where it holds 0."""
        if self.low is None or self.high is None:
            return "not measured"
        return "better" if self.low > 0 else "worse" if self.high < 0 else "no change shown"


def paired(before: Mapping[Key, float | None], after: Mapping[Key, float | None]) -> Paired:
    """The change from `before` to `after`, paired by the groups' keys; a value that was not measured is None."""
    differences = [
        later - earlier
        for group, earlier in before.items()
        if earlier is not None and (later := after.get(group)) is not None
    ]
    measured = {group for side in (before, after) for group, value in side.items() if value is not None}
    return of_differences(differences, left_out=len(measured) - len(differences))


def of_differences(differences: Sequence[float], left_out: int = 0) -> Paired:
    """The change of groups that changed by these."""
    n = len(differences)
    if not n:
        return Paired(0, left_out, why="no group was measured both times")
    found = Paired(
        n,
        left_out,
        fmean(differences),
        sum(value > 0 for value in differences),
        sum(value < 0 for value in differences),
    )
    if n < LEAST_GROUPS:
        return msgspec.structs.replace(found, why=f"an interval needs at least {LEAST_GROUPS} groups, there are {n}")
    error = stdev(differences) / math.sqrt(n)
    if not error:
        alike = f"all {n} groups changed by the same amount" if differences[0] else f"none of the {n} groups changed"
        why = f"{alike}, so the spread is not known"
        return msgspec.structs.replace(found, why=why)
    half = t_quantile(LEVEL, n - 1) * error
    mean = fmean(differences)
    return msgspec.structs.replace(
        found, low=mean - half, high=mean + half, p=sign_flip_p(differences), smallest=smallest_effect(differences)
    )


def smallest_effect(differences: Sequence[float]) -> float | None:
    """The mean difference that a two-sided t test at 5 % over so many groups shows in 80 % of cases, were the spread as it
    is: (t(0.975) + t(0.80)) standard errors. None below `LEAST_GROUPS` groups."""
    n = len(differences)
    if n < LEAST_GROUPS:
        return None
    quantiles = t_quantile(LEVEL, n - 1) + t_quantile(2 * POWER - 1, n - 1)
    return quantiles * stdev(differences) / math.sqrt(n)


def sign_flip_p(differences: Sequence[float]) -> float:
    """How often a mean at least as far from 0 would come out, were each difference's sign a matter of chance."""
    moved = [value for value in differences if value]
    observed = abs(sum(moved)) - 1e-12
    if len(moved) <= EXACT:
        totals: list[float] = [sum(map(mul, moved, signs)) for signs in product((1, -1), repeat=len(moved))]
        return sum(abs(total) >= observed for total in totals) / len(totals)
    draw = random.Random(len(moved))
    sums_of = [_sums(moved[at : at + 8]) for at in range(0, len(moved), 8)]
    drawn: Iterator[float] = (sum(map(getitem, sums_of, draw.randbytes(len(sums_of)))) for _ in range(DRAWS))
    return (1 + sum(abs(total) >= observed for total in drawn)) / (DRAWS + 1)


def _sums(values: Sequence[float]) -> list[float]:
    """The sum of at most eight values for each pattern of their signs, by the bits of a byte."""
    return [sum(value if bits >> at & 1 else -value for at, value in enumerate(values)) for bits in range(256)]


def holm(values: Sequence[float | None]) -> list[float | None]:
    """The p-values of one family corrected by Holm's step-down method; None stays None and is not counted."""
    known = sorted((value, at) for at, value in enumerate(values) if value is not None)
    corrected: list[float | None] = [None] * len(values)
    highest = 0.0
    for place, (value, at) in enumerate(known):
        highest = corrected[at] = max(highest, min(1.0, value * (len(known) - place)))
    return corrected


def t_quantile(share: float, degrees: int) -> float:
    """The t between which and -t Student's distribution has this share; `degrees` of freedom are at least 1."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < share else (low, middle)
    return math.tan(low) * math.sqrt(degrees)


def _within(angle: float, degrees: int) -> float:
    """The share of Student's distribution between -t and t, where t is tan(angle)·√degrees: the finite series of Abramowitz
    and Stegun, 26.7.3 and 26.7.4."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term, total = (cosine, cosine) if odd else (1.0, 1.0)
    for at in range(2 + odd, degrees - 1, 2):
        term *= cosine * cosine * (at - 1) / at
        total += term
    if degrees == 1:
        return 2 * angle / math.pi
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def interval(change: Paired) -> str:
    """The interval in brackets: "[+0.081, +0.241]"; "" where there is none."""
    return (
        ""
        if change.low is None or change.high is None
        else f"[{rounded(change.low, '+.3f')}, {rounded(change.high, '+.3f')}]"
    )


def sentence(change: Paired) -> str:
    """The verdict and what it is made from."""
    if change.difference is None or change.low is None or change.high is None:
        changed = "" if change.difference is None else f"changed by {rounded(change.difference, '+.3f')}, "
        return f"{changed}no interval: {change.why}"
    groups = f"{change.groups} groups"
    if change.verdict == "no change shown":
        return f"no change that {groups} could show: {rounded(change.difference, '+.3f')} {interval(change)}"
    low, high = sorted((abs(change.low), abs(change.high)))
    by, least, most = (rounded(value, ".3f") for value in (abs(change.difference), low, high))
    return f"{change.verdict} by {by} [{least}, {most}], {groups}"
