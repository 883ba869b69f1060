"""Numbers for a person: only 0 reads as 0, and only 1 as 1."""

from __future__ import annotations

import pytest

from engine.core.numbers import rounded


@pytest.mark.parametrize(
    ("value", "form", "said"),
    [
        (0.41666, ".3f", "0.417"),
        (0.0, "+.2f", "+0.00"),
        (-0.0, ".3f", "0.000"),
        (0.0004, ".3f", "0.0004"),
        (-0.0004, "+.3f", "-0.0004"),
        (0.004, "+.2f", "+0.004"),
        (1e-7, ".3f", "1e-07"),
        (0.9996, ".3f", "0.9996"),
        (-0.99999, "+.2f", "-0.99999"),
        (0.9996, ".1%", "99.96%"),
        (0.996, ".0%", "99.6%"),
        (0.0004, ".1%", "0.04%"),
        (0.0, ".1%", "0.0%"),
        (1.0, ".0%", "100%"),
        (1.0004, ".3f", "1.000"),
        (12.5, ".3f", "12.500"),
        (float("nan"), ".3f", "nan"),
        (float("inf"), ".1%", "inf%"),
    ],
)
def test_a_number_is_rounded_and_never_to_0_or_1(value: float, form: str, said: str) -> None:
    assert rounded(value, form) == said


@pytest.mark.parametrize(("value", "said"), [(0.1 + 0.2 - 0.3, "+0.00"), (sum([0.1] * 10), "+1.00")])
def test_the_rounding_of_a_sum_is_not_shown(value: float, said: str) -> None:
    assert rounded(value, "+.2f") == said
