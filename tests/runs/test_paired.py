"""Paired statistics: each figure against an independent formula or a simulation, and no interval where there can be none."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from engine.runs.paired import (
    DRAWS,
    EXACT,
    Paired,
    holm,
    interval,
    of_differences,
    paired,
    sentence,
    sign_flip_p,
    smallest_effect,
    t_quantile,
)

TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 10: 2.228, 31: 2.040, 60: 2.000, 120: 1.980}
"""Published two-sided 5 % points of Student's t, by degrees of freedom."""


@pytest.mark.parametrize(("degrees", "value"), TABLE.items())
def test_the_quantiles_of_t_are_those_of_the_published_tables(degrees: int, value: float) -> None:
    assert t_quantile(0.95, degrees) == pytest.approx(value, abs=6e-4)


def test_with_many_degrees_of_freedom_t_is_normal() -> None:
    assert t_quantile(0.95, 5000) == pytest.approx(1.96, abs=2e-3)
    assert t_quantile(0.60, 5000) == pytest.approx(0.8416, abs=1e-3)  # the 80 % point


def test_the_interval_is_the_mean_and_t_standard_errors() -> None:
    differences = [0.5, 0.25, -0.25, 0.0, 0.75]
    found = of_differences(differences)
    array = np.array(differences)
    half = 2.776445 * array.std(ddof=1) / np.sqrt(5)
    assert (found.groups, found.better, found.worse) == (5, 3, 1)
    assert found.difference == pytest.approx(0.25)
    assert (found.low, found.high) == (pytest.approx(0.25 - half, abs=1e-5), pytest.approx(0.25 + half, abs=1e-5))


def test_the_interval_holds_the_true_change_in_95_of_100_cases() -> None:
    drawn = np.random.default_rng(5).normal(0.1, 0.3, (1500, 6))
    held = sum(found.low <= 0.1 <= found.high for found in map(of_differences, drawn.tolist()))
    assert held / len(drawn) == pytest.approx(0.95, abs=0.015)


def test_the_smallest_effect_is_shown_in_80_of_100_cases() -> None:
    random, spread, groups = np.random.default_rng(6), 0.4, 32
    flat = np.linspace(-1, 1, groups)
    effect = smallest_effect((flat / flat.std(ddof=1) * spread).tolist())
    drawn = random.normal(effect, spread, (20_000, groups))
    shown = drawn.mean(axis=1) > 2.0395 * drawn.std(axis=1, ddof=1) / np.sqrt(groups)
    assert shown.mean() == pytest.approx(0.80, abs=0.01)


def test_groups_are_paired_by_their_keys_and_what_one_side_lacks_is_left_out() -> None:
    found = paired({"a": 0.0, "b": 0.5, "c": None, "d": 1.0, "e": 0.5}, {"e": 1.0, "b": 0.5, "a": 1.0, "c": 1.0})
    assert (found.groups, found.left_out, found.difference) == (3, 2, 0.5)


@pytest.mark.parametrize("differences", [[], [0.5], [0.5, 0.25]])
def test_fewer_than_three_groups_have_no_interval_and_the_reason(differences: list[float]) -> None:
    found = of_differences(differences)
    assert found.low is found.high is found.p is found.smallest is None
    assert found.verdict == "not measured" and str(len(differences) or "no group") in found.why
    assert found.why in sentence(found)


def test_groups_that_all_changed_alike_have_no_interval() -> None:
    found = of_differences([0.0] * 32)
    assert (found.difference, found.low) == (0.0, None) and "none of the 32 groups changed" in found.why
    assert "all 32 groups changed by the same amount" in of_differences([0.25] * 32).why


@pytest.mark.parametrize(
    ("differences", "verdict", "told"),
    [
        ([0.5, 0.25, 0.5, 0.25], "better", "better by 0.375 [0.145, 0.605], 4 groups"),
        ([-0.5, -0.25, -0.5, -0.25], "worse", "worse by 0.375 [0.145, 0.605], 4 groups"),
        ([0.5, -0.5, 0.25, 0.0], "no change shown", "no change that 4 groups could show: +0.062 [-0.617, +0.742]"),
    ],
)
def test_the_verdict_is_what_the_interval_says(differences: list[float], verdict: str, told: str) -> None:
    found = of_differences(differences)
    assert (found.verdict, sentence(found)) == (verdict, told)


def test_few_sign_patterns_are_counted_exactly() -> None:
    differences = [0.5, 0.25, 0.25, 0.0, -0.1, 0.3]
    moved = [value for value in differences if value]
    sums = [
        abs(sum(a * b for a, b in zip(moved, signs, strict=True))) for signs in itertools.product((1, -1), repeat=5)
    ]
    assert sign_flip_p(differences) == sum(total >= abs(sum(moved)) - 1e-12 for total in sums) / 32
    assert sign_flip_p([1.0] * 5) == 2 / 32


def test_many_sign_patterns_are_drawn_near_the_exact_share_and_always_alike() -> None:
    ones = [1.0] * (EXACT + 4)
    ones[:5] = [-1.0] * 5  # 11 of 16 rose: the exact sign test
    exact = 2 * sum(math.comb(16, rose) for rose in range(11, 17)) / 2**16
    assert sign_flip_p(ones) == pytest.approx(exact, abs=4 * math.sqrt(exact / DRAWS))
    assert sign_flip_p(ones) == sign_flip_p(ones)


def test_holm_multiplies_the_smallest_most_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_a_bound_that_is_not_0_does_not_read_as_0() -> None:
    better = Paired(32, 0, 0.12, 20, 1, 0.0003, 0.24, 0.04)
    assert interval(better) == "[+0.0003, +0.240]"
    assert sentence(better) == "better by 0.120 [0.0003, 0.240], 32 groups"
