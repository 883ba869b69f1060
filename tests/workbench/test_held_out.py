"""Does it learn? The row on top of Live: what it was before training and is now, what that shows, and never a 0 for what was
not measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.core.events import (
    EpisodeEnded,
    GroupDrawn,
    HeldOutMeasured,
    MeasurementStarted,
    PositionId,
    RunStarted,
    SettingChanged,
)
from engine.core.outcomes import FAILED, SUCCEEDED
from engine.runs.directory import Run
from engine.runs.held_out import HeldOutChange
from engine.runs.paired import of_differences
from skillos_tui.model.folding import fold
from skillos_tui.screens.evaluation.screen import EvaluationScreen
from skillos_tui.screens.live.screen import LiveScreen
from skillos_tui.widgets.learning import LearningBar
from tests.workbench.recording import create, record_training, step_events, training_view
from tests.workbench.stage import on_screen, screen_lines, until, workbench

SETTINGS = "[training]\nevaluate_every = 10\nsteps = 40\n"
GROUPS = 8


def measure(run: Run, step: int, better: int = 0) -> None:
    """A measurement of `GROUPS` groups of three tasks, of which `better` succeed at one more task than the untrained."""
    drawn = [GroupDrawn(f"h{g}", f"house-{g}", g, [f"put {g}", f"heat {g}", f"cool {g}"]) for g in range(GROUPS)]
    won = [[False, group % 2 == 0, group < better] for group in range(GROUPS)]
    run.append(MeasurementStarted(step, drawn))
    for group, outcomes in enumerate(won):
        for position, success in enumerate(outcomes, 1):
            at = PositionId(step, group, 0, position, held_out=True)
            run.append(EpisodeEnded(at, SUCCEEDED if success else FAILED, 3, 0))
    r_task = sum(sum(outcomes[1:]) / 2 for outcomes in won) / GROUPS
    run.append(HeldOutMeasured(step, GROUPS, r_task, 0.05, 0, 5.0))


def row(
    *measured: tuple[int, float | None], change: HeldOutChange | None = None, width: int = 140, settings: str = SETTINGS
) -> str:
    view = training_view()
    fold(view, RunStarted("train", "pocket", 40, pid=1, settings=settings))
    for step, r_task in measured:
        fold(view, HeldOutMeasured(step, 32, r_task, 0.04, 0, 9.0))
    bar = LearningBar(id="learning")
    bar.view, bar.change = view, change
    (shown,) = bar.build(width, 1)
    return "".join(text for text, _ in shown.spans)


def change(*differences: float, step: int = 20) -> HeldOutChange:
    return HeldOutChange(step, 0, of_differences(differences))


BETTER = change(0.5, 0.25, 0.5, 0.25)


def test_the_first_value_and_the_newest_are_shown_with_what_their_change_shows() -> None:
    shown = row((0, 0.318), (10, 0.36), (20, 0.693), change=BETTER)
    assert (
        "held-out 0.318 → 0.693" in shown and "▲ better by 0.375 [0.145, 0.605], 4 groups" in shown and "▁▂█" in shown
    )
    assert "≈ no change that 4 groups could show" in row((0, 0.3), (20, 0.4), change=change(0.5, -0.5, 0.25, 0.0))
    assert "no interval: an interval needs at least 3 groups" in row((0, 0.3), (20, 0.4), change=change(0.5))


@pytest.mark.parametrize("measurements", [2, 3, 4, 6, 20])
@pytest.mark.parametrize("width", [77, 117, 197])
def test_the_course_is_there_at_80_columns_and_more(measurements: int, width: int) -> None:
    steps = [(10 * number, 0.3 + 0.01 * number) for number in range(measurements)]
    found = HeldOutChange(steps[-1][0], 0, BETTER.paired)
    shown = row(*steps, change=found, width=width)
    assert "[0.145, 0.605]" in shown and re.search(f"▁.{{0,{measurements}}}█  ▲", shown), shown


def test_a_change_without_an_interval_is_not_called_unmeasured() -> None:
    shown = row((0, 0.3), (20, 0.3), change=change(0.0, 0.0, 0.0), width=60)
    assert "+0.000 no interval" in shown and "not measured" not in shown


def test_before_there_are_two_measurements_it_says_when_they_come() -> None:
    assert "not measured yet: first after step 10" in row()
    assert "held-out 0.318" in row((0, 0.318)) and "its change is measured after step 10" in row((0, 0.318))
    assert "training.evaluate_every is 0" in row(settings="[training]\nevaluate_every = 0\n")
    assert row(settings="").rstrip().endswith("not measured yet")


def test_what_was_not_measured_is_marked() -> None:
    assert "0.318 → n/m" in row((0, 0.318), (20, None), change=BETTER)


def test_a_comparison_of_other_steps_is_not_shown() -> None:
    assert "comparing …" in row((0, 0.3), (30, 0.4), change=BETTER) and "better" not in row(
        (0, 0.3), (30, 0.4), change=BETTER
    )


@pytest.mark.parametrize("width", [20, 40, 58, 79, 118, 198])
def test_the_row_is_never_wider_than_the_screen_and_keeps_the_verdict(width: int) -> None:
    shown = row((0, 0.318), (20, 0.693), change=BETTER, width=width)
    assert len(shown) <= width and ("▲" in shown or width < 30)
    assert "?  " in shown or "…" in shown


async def test_live_answers_first_and_enter_and_a_click_lead_to_the_evaluation(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2, state="running")
    async with workbench(run.path) as pilot:
        await until(pilot, "Does it learn?  not measured yet")
        measure(run, 0)
        run.append(*step_events(3))
        measure(run, 3, better=5)
        await until(pilot, "held-out 0.250 → 0.562")
        await until(pilot, "▲ better by 0.312 [0.096, 0.529], 8 groups")
        assert "Does it learn?" in screen_lines(pilot)[1]
        await pilot.press("shift+tab")
        assert isinstance(pilot.app.focused, LearningBar)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EvaluationScreen))
        await until(pilot, "against step 0")
        await pilot.press("b")
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen))
        await pilot.click("#learning")
        await until(pilot, lambda: isinstance(pilot.app.screen, EvaluationScreen))


async def test_a_run_that_does_not_train_has_no_such_row_and_no_pane_of_it(tmp_path: Path) -> None:
    run = create(tmp_path / "run", kind="curate")
    run.append(RunStarted("curate", "pocket", 4, pid=1))
    async with workbench(run.path) as pilot:
        await until(pilot, lambda: bool(pilot.app.view.planned))
        assert "learn" not in on_screen(pilot)
        await pilot.press("shift+tab")
        assert pilot.app.focused is pilot.app.screen.query_one("#memory")


async def test_a_change_of_the_settings_changes_when_the_next_one_is_due(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    run.append(RunStarted("train", "pocket", 40, pid=1, settings=SETTINGS), HeldOutMeasured(0, 8, 0.25, 0.05, 0, 5.0))
    async with workbench(run.path) as pilot:
        await until(pilot, "its change is measured after step 10")
        run.append(SettingChanged("training.steps", "40", "6", "ann", total=6))
        await until(pilot, "its change is measured after step 6")
