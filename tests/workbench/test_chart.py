"""Charts: what was measured is where it belongs, what was not leaves a gap."""

from __future__ import annotations

from skillos_tui.render.chart import bars, bars_over, bounds, braille


def test_a_rising_curve_rises() -> None:
    rows = braille([0.0, 0.5, 1.0], 3, 6, 3, 0.0, 1.0)
    assert rows[0][-1] != " " and rows[0][0] == " "
    assert rows[-1][0] != " " and rows[-1][-1] == " "


def test_the_width_covers_all_planned_steps() -> None:
    rows = braille([0.5, 0.5], 20, 10, 1, 0.0, 1.0)
    assert rows[0].rstrip() == rows[0].strip() and len(rows[0].rstrip()) <= 2


def test_an_unmeasured_value_is_a_gap_and_not_zero() -> None:
    assert bars([1.0, None, 1.0], 3, 3, 0.0, 1.0) == "█·█"
    whole, gapped = (braille([1.0, middle, 1.0], 3, 5, 2, 0.0, 1.0) for middle in (1.0, None))
    assert whole[0].count(" ") == 0 and gapped[0][2] == " "
    assert gapped[1].strip() == ""


def test_bars_of_several_runs_stand_at_their_steps_and_have_one_scale() -> None:
    steps = range(11)
    assert bars_over({0: 0.0, 10: 1.0}, steps, 11, 0, 1) == "▁         █"
    assert bars_over({0: 0.0, 5: None, 6: 0.5}, steps, 11, 0, 1) == "▁    ·▅    "
    assert set(bars_over({step: float(step % 2) for step in range(100)}, range(100), 10, 0, 1)) == set("▄▅")
    assert bars_over({7: 0.5}, range(7, 8), 3, 0, 1) == "▅  " and bars_over({}, range(1), 2, 0, 1) == "  "


def test_bounds_hold_the_values_and_stay_apart() -> None:
    low, high = bounds([0.37, None, 0.41], least=0.2)
    assert low <= 0.37 and high >= 0.41 and high - low >= 0.2 - 1e-9
    assert bounds([None], least=0.2) == (0.0, 0.2)


def test_more_values_than_dots_are_averaged() -> None:
    assert bars([0.0, 1.0] * 50, 100, 1, 0.0, 1.0) in ("▄", "▅")
