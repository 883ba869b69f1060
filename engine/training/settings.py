"""The settings of a train run: GRPO over groups of related tasks."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.core.fields import AtLeastTwo, Count, Many, NonNegative, Positive, Seed
from engine.core.parts import Settings


class TrainingSettings(Settings, frozen=True):
    """A train run. One step has `groups` × `rollouts` × `tasks` positions, each with the samples of the strategy, and one
    update of AdamW. A step is skipped where nothing was measured, or where the rewards inside each group are equal and there
    is no KL term."""

    steps: Many = 60
    """How many GRPO steps the run has."""

    groups: Positive = 4
    """Groups of tasks a step."""

    rollouts: AtLeastTwo = 8
    """Rollouts of each group. One alone would have no advantage."""

    tasks: AtLeastTwo = 10
    """Tasks of each group. One alone would have no r_task."""

    learning_rate: NonNegative = 1e-5
    """AdamW's highest learning rate. Published: 1e-6 for all weights; an open reproduction used ten times that with LoRA."""

    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """The learning rate after the warm-up: `constant`, or falling from `learning_rate` towards 0 over the steps of the run,
    on a line or on half a cosine. A run of a falling rate cannot be extended. None was published; `constant` depends on no
    number of steps, so that a run can be made longer."""

    warmup_steps: Count = 0
    """In so many first steps the rate grows on a line: step n has n / `warmup_steps` of it. 0, for AdamW's first steps are
    of the size of the learning rate whatever the gradient is; none was published."""

    weight_decay: NonNegative = 0.0
    """AdamW's decoupled weight decay of matrices; norms and biases have none. 0: it would pull an adapter towards the base,
    which is what `kl` is for; none was published."""

    method: Literal["lora", "full"] = "lora"
    """What of the curator is trained: a LoRA adapter, or all weights (`full`). Published: all weights, at a `learning_rate`
    of 1e-6. LoRA, because gradients and optimiser of all weights of an 8B model need 130 GB, and a server takes adapters
    between steps. `full` trains a copy of the base, which stays as it is for executor and judge; the copy and its optimiser
    are in 32 bits, also where `model.dtype` is shorter. Only model.kind=local takes it."""

    lora_rank: Positive = 32
    """The rank of the curator's LoRA adapter. 32 on all linear layers is that of an open reproduction. Without effect with
    method=full, as is `lora_alpha`."""

    lora_alpha: Positive = 64
    """The scale of the LoRA adapter, before it is divided by the rank."""

    normalisation: Literal["token", "sequence", "constant"] = "token"
    """What the loss is divided by. `token`: the trained tokens of the step, so that each token counts alike (DAPO).
    `sequence`: a mean over the tokens of each trained answer, then over those answers (GRPO), so that tokens of long answers
    count less. `constant`: the step's samples × `curator.max_tokens` (Dr. GRPO), so that the length of other answers has no
    influence. Published: over the tokens of every decision; by what the sum is divided was not."""

    advantage_scale: Literal["none", "std"] = "none"
    """What r − mean(r) is divided by: nothing (`none`, as published), or the standard deviation of r over the measured
    rollouts of the group, with n − 1, plus 1e-4 (`std`, GRPO), which gives hard and easy groups the same weight. The log has
    r − mean(r) in either case."""

    clip_low: NonNegative = 0.2
    """The importance ratio is clipped below 1 − this. With one update a batch the ratio is 1, so it has no effect. 0.2 is
    PPO's and GRPO's; the published value is not known."""

    clip_high: NonNegative = 0.2
    """The importance ratio is clipped above 1 + this; DAPO uses 0.28. With one update a batch it has no effect."""

    importance_correction: Literal["servers", "always", "never"] = "servers"
    """Whether the surrogate of each token is multiplied by min(p_trainer / p_sampler, `importance_cap`), which corrects that
    another program sampled it. `servers`: where the curator that answers is not the network that is trained; a server in
    bfloat16 differs by 0.03 to 0.04 a token. In the trainer's own process the two differ by rounding alone (1e-4). The
    probabilities are those at temperature 1."""

    importance_cap: Annotated[float, msgspec.Meta(gt=0)] = 2.0
    """The largest correction of a token. 2 is that of truncated importance sampling (Yao et al. 2025); not published
    here."""

    kl: NonNegative = 0.0
    """The coefficient of the KL term; 0 leaves it out (as published in the text; the paper's table has 0.001)."""

    kl_estimator: Literal["k2", "k3", "k3_corrected"] = "k3_corrected"
    """The KL term of a token, with x = ln p_base - ln p. `k3` is exp(x) - x - 1; `k3_corrected` is that times the importance
    ratio, so that its gradient is the gradient of the KL divergence (arXiv 2512.02556); `k2` is x² / 2, which has that
    gradient too, and another value."""

    max_grad_norm: NonNegative = 1.0
    """A gradient with a larger norm is scaled down to this norm; 0: never."""

    micro_batch_tokens: Positive = 20_480
    """How many tokens go through the model at once, padding included; a longer sample goes alone. It changes memory and
    speed, not the result. The default is one sample of the published greatest length."""

    gradient_checkpointing: bool = False
    """Whether the update keeps only each layer's input and computes the rest of its activations again for the gradient: it
    takes up to half longer, a fraction of the memory (`skillos-engine plan`), and gives the same gradient."""

    threads: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    """How many CPU threads the update uses; 0: as many as the model that is trained. Rollouts use those of the model. The
    last bits of a result depend on it, so it is a number and not that of the machine."""

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
    An 8B model's checkpoint takes 1 GB at rank 32: the 60 steps of the published run keep 12 GB instead of 63. With
    method=full it takes 98 GB."""


def checkpoints_at_once(training: TrainingSettings, steps: int) -> int:
    """The most checkpoints that a run of so many steps has at once: those that retention keeps, with the best one, and the
    one that is being written. Those that people keep come on top."""
    every = steps // training.keep_every if training.keep_every else 0
    return min(steps, training.keep_newest + every + 2)


def rows_of_step(training: TrainingSettings, samples: int) -> int:
    """How many samples a step has, where the strategy makes `samples` at each position."""
    return training.groups * training.rollouts * training.tasks * samples
