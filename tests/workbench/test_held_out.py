"""The fixed evaluation on screen: what it was before training and is now, and never a 0 for what was not measured."""

import pytest

from engine.core.events import HeldOutMeasured
from skillos_tui.widgets.rewards import curves
from tests.workbench.recording import training_view


def shown(*measured):
    view = training_view()
    for step, r_task, error in measured:
        assert view.fold(HeldOutMeasured(step, 32, r_task, error, 0, 9.0)) == {"rewards"}
    return "\n".join("".join(text for text, _ in row.spans) for row in curves(view, 60, 10))


def test_the_first_value_and_the_newest_are_shown_with_their_error():
    text = shown((0, 0.318, 0.04), (10, 0.36, 0.04), (20, 0.41, 0.04), (30, 0.471, 0.041))
    assert "held-out r_task  0.318 → 0.410 → 0.471 ±0.041" in text


def test_what_was_not_measured_is_marked():
    assert "held-out r_task  n/m" in shown((0, None, None))


def test_a_run_without_an_evaluation_shows_no_row_of_it():
    assert "held-out" not in shown()


@pytest.mark.parametrize("height", [4, 6, 10, 20])
def test_the_row_takes_its_line_from_the_curve_and_not_from_the_pane(height):
    plain, measured = training_view(), training_view()
    measured.fold(HeldOutMeasured(0, 32, 0.3, 0.04, 0, 9.0))
    assert len(curves(measured, 60, height)) == len(curves(plain, 60, height))
