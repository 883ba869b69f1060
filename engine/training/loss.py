"""The loss of GRPO, a token at a time, in the choices that `training` has.

    loss = Σ weight · (−min(ρA, clip(ρ)A) · correction + β · KL)         # over the trained tokens of a step

    surrogate(now, old, advantage, low=0.2, high=0.2)      # −min(ρA, clip(ρ)A), and where it is clipped
    kl(now, old, base, "k3_corrected")                     # the KL term
    correction(now, sampled, cap=2.0)                      # min(p_trainer / p_sampler, cap), without a gradient
    token_weights(samples, "token", most=160)              # what each token's loss is divided by

All tensors have the shape (tokens,); log-probabilities are natural logarithms. The functions are written out here because
TRL has its loss only as a method of its trainer; tests compare the two.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from engine.rollouts.rewards import advantages as centred
from engine.training.samples import FLAT, TrainingSample

Estimator = Literal["k2", "k3", "k3_corrected"]
Normalisation = Literal["token", "sequence", "constant"]
NO_ZERO = 1e-4
"""Added to a standard deviation that divides, as GRPO has it."""


def advantages(rewards: Sequence[float | None], scale: Literal["none", "std"]) -> list[float]:
    """A of each rollout of one group: r − mean(r) over the measured ones, divided as `training.advantage_scale` says.

    It is exactly 0 for an unmeasured rollout, and for all where the rewards are equal.
    """
    measured = [reward for reward in rewards if reward is not None]
    if not measured or max(measured) - min(measured) < FLAT:
        return [0.0] * len(rewards)
    divisor = statistics.stdev(measured) + NO_ZERO if scale == "std" else 1.0
    return [0.0 if value is None else value / divisor for value in centred(rewards)]


def token_weights(samples: Sequence[TrainingSample], normalisation: Normalisation, most: int) -> list[float]:
    """For each sample of a step the weight of each of its tokens in the loss. `most` are the most tokens of an answer."""
    lengths = [sum(sample.mask) for sample in samples]
    match normalisation:
        case "token":
            return [1.0 / max(sum(lengths), 1)] * len(samples)
        case "sequence":
            trained = max(sum(length > 0 for length in lengths), 1)
            return [1.0 / (trained * max(length, 1)) for length in lengths]
        case "constant":
            return [1.0 / (len(samples) * most)] * len(samples)


def surrogate(now: Tensor, old: Tensor, advantage: Tensor, *, low: float, high: float) -> tuple[Tensor, Tensor]:
    """−min(ρA, clip(ρ, 1 − low, 1 + high)·A) with ρ = exp(now − old), and where the clipped one is smaller."""
    ratio = torch.exp(now - old)
    free, bound = ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage
    return -torch.minimum(free, bound), bound < free


def kl(now: Tensor, old: Tensor, base: Tensor, estimator: Estimator) -> Tensor:
    """An estimate of the KL divergence from the base, with x = base − now (Schulman's k2 and k3; arXiv 2512.02556)."""
    x = base - now
    if estimator == "k2":
        return x.square() / 2
    k3 = torch.exp(x) - x - 1
    return k3 * torch.exp(now - old) if estimator == "k3_corrected" else k3


def correction(now: Tensor, sampled: Tensor, cap: float) -> Tensor:
    """min(p_trainer / p_sampler, cap), without a gradient (truncated importance sampling)."""
    return torch.exp(now.detach() - sampled).clamp(max=cap)
