"""The live screen shows which alarms hold and what to do, and every metric of the last step with its meaning."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.core.events import (
    Alarm,
    AlarmsChecked,
    Notice,
    RunStarted,
    SamplerRatio,
    StateChanged,
    StepEnded,
    UpdateMade,
)
from engine.runs.directory import Run
from engine.runs.metrics import METRICS
from engine.runs.text import alarm_notice
from skillos_tui.model.folding import fold
from tests.workbench.recording import create, record_training, step_events, training_view
from tests.workbench.stage import on_screen, screen_lines, until, workbench
from tests.workbench.test_live import pane

RATIO = Alarm("ratio", "the ratio is 1.2", "Check the served model.")
ZERO = Alarm("zero_std", "9 of 12 groups have equal rewards", "Raise training.rollouts.")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return record_training(tmp_path / "run", steps=2, state="running")


async def test_an_alarm_is_shown_with_its_advice_until_it_is_over(run: Run) -> None:
    run.append(AlarmsChecked(2, [RATIO]), alarm_notice(2, RATIO))
    async with workbench(run.path) as pilot:
        await until(pilot, "✗ ratio: the ratio is 1.2. Check the served model.")
        assert on_screen(pilot).count("the ratio is 1.2") == 1  # not as a notice too
        run.append(*step_events(3), AlarmsChecked(3, []))
        await until(pilot, lambda: "✗ ratio" not in on_screen(pilot))


async def test_alarms_fold_to_one_row_and_another_one_unfolds_them(run: Run) -> None:
    run.append(AlarmsChecked(2, [RATIO]))
    async with workbench(run.path) as pilot:
        await until(pilot, "✗ ratio: the ratio")
        await pilot.press("w")
        await until(pilot, "✗ alarm: ratio   w unfolds")
        run.append(*step_events(3), AlarmsChecked(3, [ZERO, RATIO]))
        await until(pilot, "✗ zero_std: 9 of 12 groups")
        await pilot.press("w")
        await until(pilot, "✗ 2 alarms: zero_std, ratio")
        await pilot.press("w")
        await until(pilot, "Raise training.rollouts.")


async def test_many_alarms_leave_room_for_the_panes_on_a_small_terminal(run: Run) -> None:
    run.append(AlarmsChecked(2, [Alarm(f"alarm{n}", "word " * 40, "advice " * 30) for n in range(10)]))
    async with workbench(run.path, size=(80, 24)) as pilot:
        await until(pilot, "… all of it: skillos-engine status")
        assert sum("word word" in row for row in screen_lines(pilot)) <= 4
        assert "Executor" in on_screen(pilot) and "Memory" in on_screen(pilot)


async def test_an_alarm_that_paused_the_run_is_told_once(run: Run) -> None:
    run.append(AlarmsChecked(2, [RATIO]), StateChanged("paused", "step 2: alarm ratio: the ratio is 1.2. Check it."))
    with run.lock():
        async with workbench(run.path) as pilot:
            await until(pilot, "‖ step 2: alarm ratio")
            assert on_screen(pilot).count("✗ ratio") == 0


async def test_a_pausing_alarm_that_does_not_fit_says_where_all_of_it_is(run: Run) -> None:
    run.append(StateChanged("paused", f"step 2: alarm ratio: {'word ' * 80}Check it."))
    with run.lock():
        async with workbench(run.path, size=(80, 24)) as pilot:
            await until(pilot, "… all of it: skillos-engine status")
            assert sum("word word" in row for row in screen_lines(pilot)[1:]) == 3  # below the state


async def test_a_long_notice_is_cut_without_gaps(run: Run) -> None:
    run.append(Notice("warning", "word " * 80))
    async with workbench(run.path, size=(80, 24)) as pilot:
        await until(pilot, "word word")
        cut = [row for row in screen_lines(pilot) if "word word" in row]
        assert len(cut) == 4 and "…" in cut[-1] and "d   w" not in cut[-1].strip()


async def test_the_key_that_folds_says_where_there_is_no_alarm(run: Run) -> None:
    async with workbench(run.path) as pilot:
        await pilot.press("w")
        await until(pilot, "There is no alarm to fold.")


def test_the_alarms_of_an_undone_step_are_gone() -> None:
    view = training_view()
    for event in (*step_events(1), AlarmsChecked(1, [RATIO]), *step_events(2), AlarmsChecked(2, [ZERO])):
        fold(view, event)
    assert view.alarms == [ZERO]
    assert "notice" in fold(view, RunStarted("train", "pocket", 12, 1, resumed_from=1))
    assert view.alarms == [RATIO]


async def test_every_metric_of_the_last_step_and_its_course(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    run.append(RunStarted("train", "pocket", 12, 1))
    for step in range(1, 5):
        for event in step_events(step):
            if isinstance(event, UpdateMade):
                event = msgspec.structs.replace(event, entropy=1.0 - step / 10, ratio=SamplerRatio(1.01, 1.1, 0.0, 9))
            if isinstance(event, StepEnded):
                event = msgspec.structs.replace(event, curator_tokens=900, executor_tokens=0)
            run.append(event)
    async with workbench(run.path, size=(200, 60)) as pilot:
        await until(pilot, "r_task")
        await pilot.press("m")
        await until(pilot, "Metrics")
        shown = {row.split()[0]: row for row in pane(pilot, "rewards").splitlines() if row.strip()}
        assert shown["entropy"].split()[1:3] == ["0.6", "nats"] and "█▆▃▁" in shown["entropy"]
        assert "entropy of the curator's next token" in shown["entropy"]
        assert shown["tokens_per_second"].split()[1] == "100.0"
        assert "kl" in shown["not"] and "r_human" in shown["not"]
        missing = set(pane(pilot, "rewards").rpartition("not measured: ")[2].replace("\n", " ").split(", "))
        assert METRICS.keys() - shown.keys() <= {name.strip() for name in missing}
        await pilot.press("m")
        await until(pilot, "╭─ Reward")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_the_metrics_fit_every_terminal(run: Run, size: tuple[int, int]) -> None:
    async with workbench(run.path, size=size) as pilot:
        await until(pilot, "step 2")
        await pilot.press("m")
        await until(pilot, "reward_std")
        assert all(len(row) <= size[0] for row in screen_lines(pilot))


async def test_the_keys_screen_says_what_the_metrics_mean(run: Run) -> None:
    async with workbench(run.path) as pilot:
        await until(pilot, "step 2")
        await pilot.press("question_mark", "G")
        await until(pilot, "episodes by seconds of the rollouts")


async def test_other_warnings_are_shown_as_before(run: Run) -> None:
    run.append(Notice("warning", "the disk is nearly full"))
    async with workbench(run.path) as pilot:
        await until(pilot, "! the disk is nearly full")
