"""Training samples: one completion of the strategy is one sequence, and all those of a rollout share its advantage.

    samples = step_samples(rollouts, parts, padding)

A step always has groups × N × |G| × samples per position rows. A completion that is missing becomes a row of two padding
tokens with mask 0, which trains nothing. An unmeasured rollout has reward None, which is left out of the mean, and mask 0 in
all its rows: they add nothing to the loss's count of tokens and have no KL term.

A step whose samples have no gradient must not change the adapter: `why_skipped` finds it before the update.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from engine.config import Config
from engine.core.errors import SkillosError
from engine.core.events import RewardBreakdown
from engine.curation.registry import strategy_kind
from engine.models.base import Completion
from engine.rollouts.position import Position
from engine.rollouts.rollout import Rollout

ZERO_GRADIENT = "the gradient is zero"
"""Why an update is skipped though its samples should have a gradient."""
FLAT = 1e-6
"""Rewards of one group that differ by less count as equal: the trainer's 32-bit floats cannot distinguish them, and AdamW
would make whole steps of their rounding."""


def group_rows(config: Config) -> int:
    """The rows of one group: N · |G| · the samples of a position."""
    training = config.training
    return training.rollouts * training.tasks * strategy_kind(config.strategy).samples_per_position


class TrainingSample(msgspec.Struct, frozen=True):
    """One completion. `mask` is 1 for tokens to train on; `logprobs` are the model's at temperature 1; lengths agree.

    It holds the rollout's reward, not its advantage: A is taken over the whole group, by the trainer. `version` is that of
    the adapter that answered; None: nothing answered.
    """

    prompt_ids: list[int]
    completion_ids: list[int]
    logprobs: list[float]
    mask: list[int]
    reward: float | None
    version: int | None = None


class NoTokens(SkillosError):
    """The curator's backend does not report token ids, so its answers cannot be trained on."""

    def __init__(self) -> None:
        super().__init__(
            "the curator's backend does not report token ids and log-probabilities, which training needs: a train run needs "
            "another model.kind, such as local; a curate run works with this one"
        )


class TooManyCompletions(SkillosError):
    """A curation strategy made more completions at a position than its kind declares."""

    def __init__(self, position: Position, count: int) -> None:
        at = position.at
        super().__init__(
            f"the curation strategy made {len(position.completions)} completions at group {at.group} rollout {at.rollout} "
            f"position {at.position} of step {at.step}; its kind declares samples_per_position={count}: raise that number"
        )


def samples_of(position: Position, reward: float | None, padding: int, count: int) -> list[TrainingSample]:
    """The `count` samples of one position: its completions in order, then rows of `padding` tokens.

    Without a reward nothing of them trains. Raises `NoTokens` for a completion without token ids, and `TooManyCompletions`.
    """
    if len(position.completions) > count:
        raise TooManyCompletions(position, count)
    missing = [TrainingSample([padding], [padding], [0.0], [0], reward)] * (count - len(position.completions))
    return [*(_sample(completion, reward) for completion in position.completions), *missing]


def _sample(completion: Completion, reward: float | None) -> TrainingSample:
    if (tokens := completion.tokens) is None:
        raise NoTokens
    mask = [int(reward is not None)] * len(tokens.completion_ids)
    return TrainingSample(tokens.prompt_ids, tokens.completion_ids, tokens.logprobs, mask, reward, completion.version)


def step_samples(
    rollouts: Sequence[Sequence[Rollout]],
    parts: Sequence[Sequence[RewardBreakdown]],
    padding: int,
    per_position: int = 1,
) -> list[TrainingSample]:
    """The samples of a step, by group, rollout and position; `rollouts` and `parts` are `[group][rollout]`."""
    return [
        sample
        for row, scores in zip(rollouts, parts, strict=True)
        for rollout, part in zip(row, scores, strict=True)
        for position in rollout.positions
        for sample in samples_of(position, part.r, padding, per_position)
    ]


def without_stale(samples: Sequence[TrainingSample], version: int) -> tuple[list[TrainingSample], int]:
    """The samples, those that another adapter than that of `version` answered with mask 0, and how many those are: the
    update is of the present curator, so they cannot be trained on."""
    stale = [is_stale(sample, version) for sample in samples]
    kept = [
        msgspec.structs.replace(sample, mask=[0] * len(sample.mask)) if old else sample
        for sample, old in zip(samples, stale, strict=True)
    ]
    return kept, sum(stale)


def is_stale(sample: TrainingSample, version: int) -> bool:
    """Whether a sample would train and another adapter than that of `version` answered."""
    return sample.version not in (None, version) and any(sample.mask)


def why_skipped(samples: Sequence[TrainingSample], group_rows: int, *, kl: float) -> str:
    """`why_untrainable` of the samples of a step, in groups of `group_rows` rows."""
    groups = [samples[start : start + group_rows] for start in range(0, len(samples), group_rows)]
    answered = any(any(sample.mask) for sample in samples if sample.reward is not None)
    return why_untrainable([[sample.reward for sample in group] for group in groups], answered=answered, kl=kl)


def why_untrainable(groups: Sequence[Sequence[float | None]], *, answered: bool, kl: float) -> str:
    """Why a step with these rewards, `[group][row]`, has no gradient; "" where it has one.

    `answered`: a rollout that was measured has an answer of the curator. With a KL coefficient such an answer has a
    gradient, however equal the rewards of its group are.
    """
    measured = [[reward for reward in group if reward is not None] for group in groups]
    if not any(measured):
        return "nothing was measured"
    if not answered:
        return "no measured rollout has an answer of the curator"
    if not kl and all(max(group) - min(group) < FLAT for group in measured if group):
        return "the rewards inside each group are equal"
    return ""


def wrong_ids(samples: Sequence[TrainingSample], vocabulary: int) -> str:
    """What of the token ids a model with `vocabulary` tokens cannot be given; "" where it can be given all."""
    for sample in samples:
        if not sample.prompt_ids or not sample.completion_ids:
            return "a prompt or an answer of the curator has no token"
        if found := [number for number in (*sample.prompt_ids, *sample.completion_ids) if not 0 <= number < vocabulary]:
            return f"the curator's backend reports the token id {found[0]}, and the base has {vocabulary} tokens"
    return ""


def all_finite(samples: Sequence[TrainingSample]) -> bool:
    """Whether every reward that was measured, and every log-probability, is a finite number."""
    return all(math.isfinite(value) for sample in samples for value in (sample.reward or 0.0, *sample.logprobs))
