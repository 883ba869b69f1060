"""The settings of a train run: GRPO over groups of related tasks."""

from __future__ import annotations

from typing import Literal

from engine.core.fields import AtLeastTwo, Count, Many, NonNegative, Positive, Seed
from engine.core.parts import Settings


class TrainingSettings(Settings, frozen=True):
    """A train run. One step has `groups` × `rollouts` × `tasks` positions, each with the samples of the strategy, and one
    update: AdamW, without weight decay, at a constant learning rate. A step is skipped where nothing was measured, or where
    the rewards inside each group are equal and there is no KL term."""

    steps: Many = 60
    """How many GRPO steps the run has."""

    groups: Positive = 4
    """Groups of tasks a step."""

    rollouts: AtLeastTwo = 8
    """Rollouts of each group. One alone would have no advantage."""

    tasks: AtLeastTwo = 10
    """Tasks of each group. One alone would have no r_task."""

    learning_rate: NonNegative = 1e-5
    """AdamW's constant learning rate."""

    lora_rank: Positive = 32
    """The rank of the curator's LoRA adapter."""

    lora_alpha: Positive = 64
    """The scale of the LoRA adapter, before it is divided by the rank."""

    clip: NonNegative = 0.2
    """ε of the clipped surrogate. With one update a batch the importance ratio is 1, so it has no effect."""

    kl: NonNegative = 0.0
    """The coefficient of the KL term; 0 leaves it out (as published)."""

    kl_estimator: Literal["k3", "k3_corrected"] = "k3_corrected"
    """The KL term of a token, with x = ln p_base - ln p. `k3` is exp(x) - x - 1; `k3_corrected` is that times the importance
    ratio, so that its gradient is the gradient of the KL divergence (arXiv 2512.02556)."""

    max_grad_norm: NonNegative = 1.0
    """A gradient with a larger norm is scaled down to this norm; 0: never."""

    micro_batch: Positive = 8
    """How many samples go through the model at once. It divides the samples of a step; it changes memory and speed, not the
    result."""

    gradient_checkpointing: bool = False
    """Whether the update keeps only each layer's input and computes the rest of its activations again for the gradient: it
    takes up to half longer, a fraction of the memory (`skillos-engine plan`), and gives the same gradient."""

    seed: Seed = 1
    """The seed of groups, samples and initial weights."""

    evaluate_every: Count = 0
    """Measure held-out groups before the first step and after every so many steps; 0: never."""

    evaluate_groups: Positive = 32
    """How many held-out groups are measured. They are the same each time, whatever `[grouping]` says, and each starts from
    an empty repository, whatever `start_from` says, so that measurements of all steps and runs can be compared."""

    start_from: Literal["empty", "approved"] = "empty"
    """From which repository each rollout starts: an `empty` one (as published), or the run's `approved` one as it is when
    the step begins. With `approved`, what a person approves is there from the next step on, position 1 already plays with it
    and counts in r_task, and a rollout's edits are its changes to that repository."""

    keep_newest: Positive = 5
    """How many of the newest checkpoints are kept. Every step is saved; five let a person return to before a step that
    spoiled the adapter. Beside them the best by held-out score and those that a person kept are never removed. The paper
    says nothing of it."""

    keep_every: Count = 10
    """Every checkpoint of so many steps is kept, so that each tenth of a run can be measured and compared later; 0: none.
    An 8B model's checkpoint takes 1 GB at rank 32: the 60 steps of the published run keep 12 GB instead of 63."""


def checkpoints_at_once(training: TrainingSettings, steps: int) -> int:
    """The most checkpoints that a run of so many steps has at once: those that retention keeps, with the best one, and the
    one that is being written. Those that people keep come on top."""
    every = steps // training.keep_every if training.keep_every else 0
    return min(steps, training.keep_newest + every + 2)


def rows_of_step(training: TrainingSettings, samples: int) -> int:
    """How many samples a step has, where the strategy makes `samples` at each position."""
    return training.groups * training.rollouts * training.tasks * samples
