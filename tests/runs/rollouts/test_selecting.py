"""Rollouts are selected by their reward, and by what happened in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.events import PositionId, RewardBreakdown, RolloutScored, RunStarted, StepEnded, StepStarted
from engine.core.outcomes import FAILED, SUCCEEDED, unmeasured
from engine.runs.directory import Run
from engine.runs.rollouts.selecting import Bar, Rewards, Selection, histogram, matching, rewards
from engine.runs.rollouts.spans import spans
from tests.workbench.recording import create, episode, step_events

REWARDS = (0.1, 0.5, 0.55, None)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """One step of one group: rollout 0 failed, 1 succeeded, 2 was not measured; 3 succeeded in another family."""
    run = create(tmp_path / "run")
    run.append(StepStarted(1, []))
    for number, outcome in enumerate((FAILED, SUCCEEDED, unmeasured("an outage"), SUCCEEDED)):
        run.append(*episode(PositionId(1, 0, number), outcome))
        run.append(RolloutScored(1, 0, number, RewardBreakdown(REWARDS[number], 0.1, 0.1, 0.1, 0.1), 1, 0))
    return run


def rollouts(run: Run, chosen: Selection) -> set[int | None]:
    return {spot.rollout for spot in matching(run, spans(run), chosen)}


def test_rewards_are_those_of_steps_that_no_resume_undid(run: Run) -> None:
    found = rewards(run, spans(run))
    assert [r for step in found.by_span.values() for r in step.values()] == [*REWARDS]
    run.append(RunStarted("train", "pocket", 3, 1, resumed_from=0))
    found = rewards(run, spans(run), found)
    assert not any(found.by_span.values()) and not found.measured and not found.unscored
    run.append(StepStarted(1, []), RolloutScored(1, 0, 0, RewardBreakdown(0.9, 1, 1, 1, 1), 1, 0))
    assert rewards(run, spans(run), found).measured == [0.9]


def test_rewards_that_are_read_piece_by_piece_are_those_that_are_read_at_once(run: Run) -> None:
    found = Rewards()
    for step in range(2, 8):
        found = rewards(run, spans(run), found)
        run.append(StepStarted(step, []), RolloutScored(step, 0, 0, RewardBreakdown(step / 10, 1, 1, 1, 1), 1, 0))
        if step == 5:
            run.append(RunStarted("train", "pocket", 3, 1, resumed_from=3))
    found = rewards(run, spans(run), found)
    assert found == rewards(run, spans(run)) and [step for step, _ in found.by_span] == [1, 2, 3, 6, 7]


def test_rewards_of_a_step_that_the_log_has_only_the_end_of_are_found_at_its_end(run: Run) -> None:
    found = rewards(run, spans(run))
    run.append(RolloutScored(2, 0, 0, RewardBreakdown(0.9, 1, 1, 1, 1), 1, 0))
    found = rewards(run, spans(run), found)
    run.append(*(event for event in step_events(2) if isinstance(event, StepEnded)))
    found = rewards(run, spans(run), found)
    assert found == rewards(run, spans(run)) and 0.9 in found.measured


def test_bars_hold_every_reward_once_and_the_unmeasured_ones_apart() -> None:
    values = (0.0, 0.049, 0.05, 1.0)
    bars = histogram(Rewards(measured=values, unscored=2), 12)
    assert sum(bar.count for bar in bars) == 6 and len(bars) <= 13
    assert bars[-1] == Bar(None, None, 2)
    for value in values:
        assert sum(bar.low <= value < bar.high for bar in bars[:-1]) == 1


@pytest.mark.parametrize(
    "values",
    [[], [0.5], [0.5, 0.5], [-3.0, 1e9], [1e-9, 2e-9], [-0.1, -0.2], [-1e308, 1e308], [0.3, 0.1, 0.7], [1e300, 1e300]],
)
def test_any_rewards_have_few_bars(values: list[float]) -> None:
    for most in (1, 2, 10):
        bars = histogram(Rewards(measured=sorted(values)), most)
        assert len(bars) <= most and sum(bar.count for bar in bars) == len(values)
        assert all(sum(bar.low <= value < bar.high for bar in bars) == 1 for value in values)


def test_a_selection_takes_what_fits_all_of_it(run: Run) -> None:
    assert rollouts(run, Selection(low=0.5, high=0.6)) == {1, 2}
    assert rollouts(run, Selection(unscored=True)) == {3}
    assert rollouts(run, Selection(outcome="failed")) == {0}
    assert rollouts(run, Selection(outcome="unmeasured")) == {2}
    assert rollouts(run, Selection(outcome="succeeded", low=0.5, high=0.6)) == {1}
    assert rollouts(run, Selection(invalid=True)) == {0, 1, 2, 3}
    assert rollouts(run, Selection(text="ON THE TABLE")) == {0, 1, 2, 3}
    assert rollouts(run, Selection(text="house-10", outcome="failed")) == {0}
    assert rollouts(run, Selection(text="house-99")) == set()
