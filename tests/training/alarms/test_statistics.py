"""The trend's arithmetic, beside tables and a simulation."""

import random

import pytest

from engine.training.alarms.statistics import slope_of, upper_tail

# One-sided 1 % points of Student's t distribution by degrees of freedom, from published tables.
TABLE = {1: 31.821, 2: 6.965, 3: 4.541, 4: 3.747, 5: 3.365, 6: 3.143, 9: 2.821, 10: 2.764, 25: 2.485, 30: 2.457}


@pytest.mark.parametrize("freedom", TABLE)
def test_the_tail_of_t_is_that_of_the_tables(freedom):
    assert upper_tail(TABLE[freedom], freedom) == pytest.approx(0.01, rel=2e-3)
    assert upper_tail(-TABLE[freedom], freedom) == pytest.approx(0.99, rel=1e-4)
    assert upper_tail(0.0, freedom) == pytest.approx(0.5)


def test_a_line_has_its_slope_and_no_error():
    found = slope_of([1.0, 3.0, 5.0, 7.0])
    assert (found.slope, found.error, found.freedom) == (pytest.approx(2.0), pytest.approx(0.0, abs=1e-12), 2)
    assert found.p_rise < 1e-6 and found.p_fall > 0.999


def test_slope_and_error_are_those_of_the_textbook_formulas():
    found = slope_of([2.1, 3.9, 6.2, 7.8, 10.1], [1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.slope, found.error) == (pytest.approx(1.99), pytest.approx(0.0597, abs=1e-4))


def test_too_few_points_and_points_at_one_place_have_no_slope():
    assert slope_of([1.0, 2.0, 3.0]) is None
    assert slope_of([1.0, 2.0, 3.0, 4.0], [7.0] * 4) is None


def test_equal_values_neither_rise_nor_fall():
    found = slope_of([0.5] * 6)
    assert found.p_rise == found.p_fall == 1.0


def test_noise_rises_as_often_as_the_level_says():
    dice = random.Random(3)
    rises = [slope_of([dice.gauss(0, 1) for _ in range(6)]).p_rise < 0.05 for _ in range(4000)]
    assert sum(rises) / len(rises) == pytest.approx(0.05, abs=0.012)
