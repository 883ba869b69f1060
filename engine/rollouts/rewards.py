"""The composite reward of a rollout, and its advantage (`method.md` §2).

    r = r_task + λ_f·r_fc + λ_u·r_cnt + λ_c·r_comp + λ_h·r_human
    A_n = r_n − mean(r)

Pure functions of what was measured. A part that was not measured is None, and then so is r: never 0. The exception is
r_human, which most rollouts do not have: there its term is left out of r. Choices that the paper leaves open are described
where they are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, pstdev

import msgspec

from engine.core.events import JudgedTwice, RewardBreakdown
from engine.core.outcomes import SUCCEEDED, Outcome
from engine.rollouts.settings import RewardSettings

NO_DECISION = "the strategy asked no model and edited nothing"
"""Why the content of a decision is not judged."""


class PositionMetrics(msgspec.Struct, frozen=True):
    """What one position contributes. `valid_calls` of `calls` parsed and applied; `judge` is in [0, 1]; `repo_tokens` is
    |S_i|, None where it was not counted; `judge_check` is the rubric's score beside another judge's; `prompt_tokens` is
    |χ_i|, of all prompts of the strategy together, 0 where it asked no model. `score` is the environment's, in [0, 1].
    `curated` is false where there is no decision: then only outcome and score count."""

    outcome: Outcome
    curated: bool = False
    calls: int = 0
    valid_calls: int = 0
    judge: float | None = None
    repo_tokens: int | None = 0
    prompt_tokens: int = 1
    score: float | None = None
    judge_check: float | None = None

    @property
    def decided(self) -> bool:
        """Whether there is a decision that asked a model, or called anything."""
        return self.curated and bool(self.calls or self.prompt_tokens)


def score(
    positions: Sequence[PositionMetrics],
    settings: RewardSettings,
    *,
    first_counts: bool = False,
    human: float | None = None,
) -> RewardBreakdown:
    """The reward of a rollout and its parts, over positions 1..|G| in order.

    r_task is the mean of 1 for success and 0 for failure, or by `settings.task` of the environment's scores; what is
    unmeasured, and an episode without a score, leaves its denominator |G| − 1. Position 1 plays on an empty repository and
    does not count in it, but with `first_counts`: where the rollout starts from a repository that may have skills. `human`
    is r_human (`engine.review.words`), None where nobody decided on any edit of the rollout. Positions without a decision
    leave the denominators of the other three parts, and so do decisions that nothing was asked for; a decision that the
    judge could not score leaves that of r_cnt, and one after which the repository was not counted that of r_comp.
    """
    played = [position for position in positions[0 if first_counts else 1 :] if position.outcome.measured]
    decided = [position for position in positions if position.decided]
    r_task = _mean(value for position in played if (value := _result(position, settings)) is not None)
    r_fc = _mean(validity(position, settings) for position in decided)
    r_cnt = _mean(position.judge for position in decided if position.judge is not None)
    r_comp = _mean(
        1 - position.repo_tokens / position.prompt_tokens
        for position in decided
        if position.prompt_tokens and position.repo_tokens is not None
    )
    if r_task is None or r_fc is None or r_cnt is None or r_comp is None:
        return RewardBreakdown(None, r_task, r_fc, r_cnt, r_comp, human)
    r = r_task + settings.lambda_f * r_fc + settings.lambda_u * r_cnt + settings.lambda_c * r_comp
    if human is not None:
        r += settings.lambda_h * human
    return RewardBreakdown(r, r_task, r_fc, r_cnt, r_comp, human)


def _result(position: PositionMetrics, settings: RewardSettings) -> float | None:
    """What a measured episode adds to r_task."""
    return position.score if settings.task == "score" else float(position.outcome == SUCCEEDED)


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


def judged_twice(positions: Iterable[PositionMetrics]) -> list[JudgedTwice]:
    """How many decisions have which scores of the judge and of the rubric beside it, by the scores."""
    counts = Counter(
        (position.judge, position.judge_check)
        for position in positions
        if position.judge is not None and position.judge_check is not None
    )
    return [JudgedTwice(*scores, count) for scores, count in sorted(counts.items())]


def unjudged(positions: Iterable[PositionMetrics]) -> int:
    """How many decisions the judge did not score."""
    return sum(position.decided and position.judge is None for position in positions)


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
