"""The trend of a few measurements: a line by least squares, and whether its slope could be chance.

    rises([0.31, 0.35, 0.42, 0.47], level=0.01)

The slope's standard error is that of the residuals, so it needs no knowledge of the noise; its ratio to the slope has
Student's t distribution with n - 2 degrees of freedom where the noise is normal and independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import msgspec

LEAST = 4
"""The fewest points of a trend: with three, one degree of freedom is left, and no slope is beyond chance."""


class Slope(msgspec.Struct, frozen=True):
    """A fitted slope for each point, its standard error, and how many degrees of freedom that has."""

    slope: float
    error: float
    freedom: int

    @property
    def p_rise(self) -> float:
        """The one-sided probability of so steep a rise, or a steeper one, where there is no trend."""
        if self.error == 0:
            return 0.0 if self.slope > 0 else 1.0
        return upper_tail(self.slope / self.error, self.freedom)

    @property
    def p_fall(self) -> float:
        """The same of a fall."""
        return Slope(-self.slope, self.error, self.freedom).p_rise


def slope_of(values: Sequence[float], at: Sequence[float] | None = None) -> Slope | None:
    """The slope of `values` over their places `at` (1, 2, 3, … by default); None below `LEAST` points, or where all are at
    one place."""
    places = list(at) if at is not None else [float(place) for place in range(1, len(values) + 1)]
    if len(values) < LEAST:
        return None
    middle, mean = fmean(places), fmean(values)
    spread = sum((place - middle) ** 2 for place in places)
    if not spread:
        return None
    slope = sum((place - middle) * (value - mean) for place, value in zip(places, values, strict=True)) / spread
    rest = sum((value - mean - slope * (place - middle)) ** 2 for place, value in zip(places, values, strict=True))
    freedom = len(values) - 2
    return Slope(slope, math.sqrt(rest / freedom / spread), freedom)


def upper_tail(t: float, freedom: int) -> float:
    """P(T > t) of Student's t distribution with whole degrees of freedom, by its finite series (Abramowitz and Stegun,
    26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    if freedom % 2:
        term = total = cosine if freedom > 1 else 0.0
        for number in range(3, freedom - 1, 2):
            term *= cosine**2 * (number - 1) / number
            total += term
        inside = 2 / math.pi * (angle + math.sin(angle) * total)
    else:
        term = total = 1.0
        for number in range(2, freedom - 1, 2):
            term *= cosine**2 * (number - 1) / number
            total += term
        inside = math.sin(angle) * total
    return (1 - inside) / 2
