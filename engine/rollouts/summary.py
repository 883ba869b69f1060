"""One training step's numbers: the rewards of its rollouts, and their summary.

parts = score_rollouts(rollouts, config.rewards, emit)
emit(summary(step, rollouts, parts, …))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean

import msgspec

from engine.core.events import RewardBreakdown, RolloutScored, Sink, StepEnded
from engine.core.outcomes import SUCCEEDED
from engine.rollouts import rewards
from engine.rollouts.position import Position
from engine.rollouts.rollout import Rollout
from engine.rollouts.settings import RewardSettings


class Scoring(msgspec.Struct, frozen=True):
    """How the rollouts of a step are scored beside their positions. `first_counts` is as for `rewards.score`; `human` gives
    r_human of a rollout, by the decisions up to the event `decided_until` (None: no decision counts)."""

    first_counts: bool = False
    human: Callable[[Rollout], float | None] = lambda rollout: None
    decided_until: int | None = None


def score_rollouts(
    rollouts: Sequence[Sequence[Rollout]], settings: RewardSettings, emit: Sink, scoring: Scoring | None = None
) -> list[list[RewardBreakdown]]:
    """The parts of every rollout, `[group][rollout]`, each emitted."""
    how = scoring or Scoring()
    return [[_score(rollout, settings, emit, how) for rollout in row] for row in rollouts]


def _score(rollout: Rollout, settings: RewardSettings, emit: Sink, scoring: Scoring) -> RewardBreakdown:
    metrics = [position.metrics for position in rollout.positions]
    parts = rewards.score(metrics, settings, first_counts=scoring.first_counts, human=scoring.human(rollout))
    measured = sum(position.measured for position in rollout.positions)
    step = rollout.positions[0].at.step
    unmeasured = len(rollout.positions) - measured
    number, index, until = rollout.group.number, rollout.index, scoring.decided_until
    emit(RolloutScored(step, number, index, parts, measured, unmeasured, until))
    return parts


def advantages(parts: Sequence[Sequence[RewardBreakdown]]) -> list[list[float | None]]:
    """A of every rollout, `[group][rollout]`."""
    return [rewards.advantages([part.r for part in row]) for row in parts]


def summary(
    step: int,
    rollouts: Sequence[Sequence[Rollout]],
    parts: Sequence[Sequence[RewardBreakdown]],
    *,
    rollout_seconds: float,
    seconds: float,
) -> StepEnded:
    """The step's summary. Success is a share of the positions with an outcome, with a decision or without."""
    positions = [position for row in rollouts for rollout in row for position in rollout.positions]
    outcomes = [position.trajectory.outcome for position in positions if position.trajectory.outcome.measured]
    measured = sum(position.measured for position in positions)
    deviations = [deviation for row in parts if (deviation := rewards.reward_std([part.r for part in row])) is not None]
    return StepEnded(
        step=step,
        rewards=rewards.average([part for row in parts for part in row]),
        reward_std=fmean(deviations) if deviations else None,
        zero_std_groups=sum(deviation == 0 for deviation in deviations),
        measured=measured,
        unmeasured=len(positions) - measured,
        success_rate=_share([outcome == SUCCEEDED for outcome in outcomes]),
        invalid_action_rate=_invalid_action_rate(positions),
        operations=dict(Counter(edit.operation for position in positions for edit in position.edits)),
        invalid_calls=sum(position.metrics.calls - position.metrics.valid_calls for position in positions),
        episodes=len(positions),
        rollout_seconds=rollout_seconds,
        seconds=seconds,
        skipped_curations=len(outcomes) - measured,
        shortened=sum(position.shortened for position in positions),
        dropped_skills=sum(position.dropped_skills for position in positions),
        unjudged=rewards.unjudged(position.metrics for position in positions),
        judged_twice=rewards.judged_twice(position.metrics for position in positions),
    )


def _invalid_action_rate(positions: Sequence[Position]) -> float | None:
    """Turns with an invalid action as a share of all turns."""
    turns = sum(len(position.trajectory.turns) for position in positions)
    return sum(position.trajectory.invalid_actions for position in positions) / turns if turns else None


def _share(flags: Sequence[bool]) -> float | None:
    return fmean(flags) if flags else None
