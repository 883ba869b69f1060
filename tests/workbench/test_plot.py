"""Charts of several curves: gaps, signs, round labels, the cursor's column."""

from __future__ import annotations

import math

import pytest

from skillos_tui.render.chart import bars, behind, dot_of
from skillos_tui.render.plot import Series, axis_labels, column_of, plot, scale, sign_of, step_at, step_axis

ONE = scale([0.0, 1.0], 8)


def drawn(*series: Series, steps: range = range(1, 31), cursor: int | None = None, width: int = 60) -> list[str]:
    rows = plot(series, steps, ONE, width=width, height=8, cursor=cursor)
    assert all(sum(len(text) for text, _ in row) == width for row in rows)
    return ["".join(text for text, _ in row) for row in rows]


@pytest.mark.parametrize(
    "values",
    [[0.21, 0.48], [1.0], [0.0], [-3.0, -2.9], [3812.0, 4000.0], [2.5e-9, 3e-9], [-0.01, 3e-4], [1e12, 3e12], []],
)
def test_a_scale_holds_all_values_and_its_labels_are_different_and_short(values: list[float]) -> None:
    for rows in (1, 3, 8, 30):
        found = scale(values, rows)
        assert found.low < found.high and all(found.low <= value <= found.high for value in values)
        labels = [found.label(tick) for tick in found.ticks]
        assert len(set(labels)) == len(labels) and found.width <= 9
        assert len([label for label in axis_labels(found, rows) if label]) <= rows


@pytest.mark.parametrize(
    ("values", "width"),
    [([1.0, 1.0000002], 11), ([1e12, 1.000001e12], 13), ([9_999_990.0, 10_000_010.0], 12), ([0.0, 1e12], 7)],
)
def test_labels_of_values_that_differ_by_little_have_the_digits_in_which_they_differ(
    values: list[float], width: int
) -> None:
    found = scale(values, 30)
    labels = [found.label(tick) for tick in found.ticks]
    assert len(set(labels)) == len(labels) and found.width == width
    assert [float(label.replace(",", "")) for label in labels] == list(found.ticks)


def test_what_is_not_finite_or_absurd_has_no_say_in_the_scale_and_breaks_nothing() -> None:
    assert scale([math.nan, math.inf, -1.7e308, 1.7e308, 0.2, None, 0.4], 8) == scale([0.2, 0.4], 8)
    assert scale([0.0, 5e-324], 8).high > 0
    drawn(Series("r", {1: -1.7e308, 2: 1.7e308, 3: 5e-324, 4: 0.5}))
    assert bars([-1.7e308, 1.7e308], 2, 2, -1.7e308, 1.7e308) != ""


def test_a_step_that_measured_nothing_is_a_gap() -> None:
    whole = drawn(Series("r", dict.fromkeys(range(1, 31), 0.5)))
    points = {step: None if 10 <= step <= 20 else 0.5 for step in range(1, 31)}
    gap = drawn(Series("r", points))
    columns = {x for row in gap for x, cell in enumerate(row) if cell != " "}
    assert {x for row in whole for x, cell in enumerate(row) if cell != " "} == set(range(60))
    assert columns == set(range(column_of(9, range(1, 31), 60) + 1)) | set(range(column_of(21, range(1, 31), 60), 60))


def test_every_curve_has_its_own_sign_and_style_also_where_it_is_a_single_point() -> None:
    series = [Series(str(n), {step: (n + 1) / 8 for step in range(1, 31)}) for n in range(6)] + [
        Series("one", {15: 0.95})
    ]
    rows = plot(series[:6], range(1, 31), ONE, width=60, height=8)
    text = "".join(text for row in rows for text, _ in row)
    assert all(sign_of(number) in text for number in range(6))
    assert {style for row in rows for _, style in row} >= {f"series{number}" for number in range(1, 7)}
    assert sum(row.count(sign_of(0)) for row in drawn(series[6])) == 1


def test_curves_that_few_steps_measure_have_a_sign_at_each() -> None:
    assert sum(row.count("●") for row in drawn(Series("held-out", {1: 0.2, 10: 0.4, 30: 0.6}))) == 3


def test_the_cursor_is_a_column_that_hides_no_curve() -> None:
    rows = drawn(Series("r", dict.fromkeys(range(1, 31), 0.5)), cursor=12)
    at = column_of(12, range(1, 31), 60)
    assert sum(row[at] == "│" for row in rows) == 7 and sum(row[at] not in "│ " for row in rows) == 1
    marks, numbers = step_axis(range(1, 31), 60, 12)
    assert marks.spans[0][0][at] == "┴" and ("12", "cursor") in numbers.spans


@pytest.mark.parametrize("steps", [range(7, 8), range(0, 2), range(1, 31), range(5, 20_000)])
@pytest.mark.parametrize("width", [8, 33, 160])
def test_a_column_leads_back_to_its_step_and_labels_never_touch(steps: range, width: int) -> None:
    for column in range(width):
        step = step_at(column, steps, width)
        assert step in steps and abs(column_of(step, steps, width) - column) <= max(1, width / len(steps))
    _, numbers = step_axis(steps, width, steps.start)
    text = "".join(part for part, _ in numbers.spans)
    assert len(text) == width and all(int(word) in steps for word in text.split())


def test_a_single_step_is_in_the_middle_and_no_other_one_is_named() -> None:
    rows = drawn(Series("r", {7: 0.5}), steps=range(7, 8), cursor=7, width=21)
    assert {row.index("│") for row in rows if "│" in row} == {10} and sum(row[10] == sign_of(0) for row in rows) == 1
    marks, numbers = step_axis(range(7, 8), 21, 7)
    assert marks.spans[0][0].index("┴") == 10 and "".join(text for text, _ in numbers.spans).split() == ["7"]


def test_many_steps_are_averaged_in_their_column() -> None:
    rows = drawn(Series("r", {step: float(step % 2) for step in range(1, 2001)}), steps=range(1, 2001))
    assert all(not row.strip() for row in (*rows[:3], *rows[5:]))


@pytest.mark.parametrize("dots", [1, 2, 7, 160])
@pytest.mark.parametrize("count", [1, 2, 3, 100, 1001])
def test_the_steps_of_each_dot_are_found(count: int, dots: int) -> None:
    places = range(5, 5 + count)
    known = [place for place in places if place % 7 != 3] or [5]
    first = 0
    while first < len(known):
        dot = dot_of(known[first], places, dots)
        end = behind(known, dot, places, dots, first, len(known))
        assert {dot_of(place, places, dots) for place in known[first:end]} == {dot}
        assert end == len(known) or dot_of(known[end], places, dots) > dot
        first = end
