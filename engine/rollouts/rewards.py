"""The composite reward of a rollout, and its advantage (`method.md` §2).

    r = r_task + λ_f·r_fc + λ_u·r_cnt + λ_c·r_comp
    A_n = r_n − mean(r)

Pure functions of what was measured. A part that could not be measured is None, and then so is r: never 0. What the paper
leaves open is said where it is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, pstdev

import msgspec

from engine.core.events import RewardBreakdown
from engine.core.outcomes import SUCCEEDED, Outcome
from engine.rollouts.settings import RewardSettings


class PositionMetrics(msgspec.Struct, frozen=True):
    """What one position contributes. `valid_calls` of `calls` parsed and applied; `judge` is in [0, 1]; `repo_tokens` is
    |S_i| and `prompt_tokens` |χ_i|. `curated` is false where the curator did not answer: then only the outcome counts."""

    outcome: Outcome
    curated: bool = False
    calls: int = 0
    valid_calls: int = 0
    judge: float | None = None
    repo_tokens: int = 0
    prompt_tokens: int = 1


def score(
    positions: Sequence[PositionMetrics], settings: RewardSettings, *, first_counts: bool = False
) -> RewardBreakdown:
    """The reward of a rollout and its parts, over positions 1..|G| in order.

    Position 1 plays on an empty repository and does not count in r_task; unmeasured outcomes leave its denominator
    |G| − 1. Positions without a curator's answer leave the denominators of the other three. `first_counts` is for a
    curate run, where a task already plays on the repository that earlier tasks made.
    """
    outcomes = [position.outcome for position in positions[0 if first_counts else 1 :] if position.outcome.measured]
    curated = [position for position in positions if position.curated]
    judged = [position.judge for position in curated if position.judge is not None]
    r_task = _mean(float(outcome == SUCCEEDED) for outcome in outcomes)
    r_fc = _mean(validity(position, settings) for position in curated)
    r_cnt = _mean(judged)
    r_comp = _mean(1 - position.repo_tokens / position.prompt_tokens for position in curated)
    if r_task is None or r_fc is None or r_cnt is None or r_comp is None:
        return RewardBreakdown(None, r_task, r_fc, r_cnt, r_comp)
    r = r_task + settings.lambda_f * r_fc + settings.lambda_u * r_cnt + settings.lambda_c * r_comp
    return RewardBreakdown(r, r_task, r_fc, r_cnt, r_comp)


def validity(position: PositionMetrics, settings: RewardSettings) -> float:
    """valid(c_i): the fraction of the decision's calls that parse and apply; a named setting where it calls nothing."""
    return position.valid_calls / position.calls if position.calls else settings.empty_call_validity


def advantages(rewards: Sequence[float | None]) -> list[float | None]:
    """A = r − mean(r) over one group's measured rollouts, not divided by the standard deviation; None where r is None.

    Equal rewards have advantages of exactly 0: the rounding of their mean is no reward.
    """
    measured = [reward for reward in rewards if reward is not None]
    mean = measured[0] if len(set(measured)) == 1 else _mean(measured)
    return [None if reward is None or mean is None else reward - mean for reward in rewards]


def reward_std(rewards: Sequence[float | None]) -> float | None:
    """The population standard deviation of r inside one group; None below two measured rollouts."""
    measured = [reward for reward in rewards if reward is not None]
    return pstdev(measured) if len(measured) > 1 else None


def average(parts: Sequence[RewardBreakdown]) -> RewardBreakdown:
    """Each part averaged over the rollouts in which it was measured."""
    return RewardBreakdown(
        **{
            name: _mean(v for p in parts if (v := getattr(p, name)) is not None)
            for name in RewardBreakdown.__struct_fields__
        }
    )


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return fmean(listed) if listed else None
