"""Events of training: the summary of a step, its update, what the curator is worth on held-out groups, its checkpoints."""

from __future__ import annotations

import msgspec

from engine.core.events.base import Event
from engine.core.records import Alarm, JudgedTwice, RewardBreakdown, SamplerRatio


class UpdateMade(Event, frozen=True):
    """One optimiser step. `advantages[group][rollout]` is A = r - mean(r); None where the rollout was unmeasured.

    `skipped` says why weights and optimiser were left as they were ("" where they were updated). `tokens` are the tokens of
    the curator's answers that were trained on, `sequence_tokens` all that went through the model. `clip_share` is the share
    of trained tokens whose surrogate was clipped, `corrected_share` that of tokens whose importance correction was
    truncated. `ratio` compares the sampler with the trainer. None: not measured, or in older logs.
    """

    step: int
    advantages: list[list[float | None]]
    samples: int
    loss: float | None
    grad_norm: float | None
    entropy: float | None
    kl: float | None
    learning_rate: float
    seconds: float
    skipped: str = ""
    tokens: int | None = None
    sequence_tokens: int | None = None
    ratio: SamplerRatio | None = None
    clip_share: float | None = None
    corrected_share: float | None = None


class StepEnded(Event, frozen=True):
    """A step's summary. `reward_std` is the mean over groups of the standard deviation of r inside a group, and
    `zero_std_groups` the number of groups in which it is 0. `operations` counts valid calls by name. Rates are in [0, 1].

    `measured` counts the positions with an outcome and a curator's decision, `unmeasured` the others, and of those
    `skipped_curations` the ones that have an outcome but no decision. `shortened` counts the positions at which a prompt was
    cut to its limit, `dropped_skills` the skills that were found there and are in no prompt. `unjudged` counts the decisions
    whose content the judge did not score; `judged_twice` has the scores of the others where the rubric scored them beside
    another judge. `seconds_by` are the seconds of each phase ("rollouts", "update", …). `executor_tokens` and
    `curator_tokens` were generated in the step's rollouts. `repo_skills` and `repo_tokens` are the skills of a rollout's
    last repository and their tokens, averaged over rollouts. `calls` counts the curator's calls by operation, valid or not;
    those to anything else are "unknown". `judge_std` is the standard deviation of the judge's scores. Of the skills in the
    rollouts' last repositories, `named_skills` is the share that names an instance of its tasks ("mug 3"), and
    `empty_skills` the share without instructions. None: not measured, or in older logs.
    """

    step: int
    rewards: RewardBreakdown
    reward_std: float | None
    zero_std_groups: int
    measured: int
    unmeasured: int
    success_rate: float | None
    invalid_action_rate: float | None
    operations: dict[str, int]
    invalid_calls: int
    episodes: int
    rollout_seconds: float
    seconds: float
    skipped_curations: int = 0
    shortened: int = 0
    dropped_skills: int = 0
    unjudged: int = 0
    judged_twice: list[JudgedTwice] = msgspec.field(default_factory=list)
    seconds_by: dict[str, float] = msgspec.field(default_factory=dict)
    executor_tokens: int | None = None
    curator_tokens: int | None = None
    repo_skills: float | None = None
    repo_tokens: float | None = None
    calls: dict[str, int] = msgspec.field(default_factory=dict)
    judge_std: float | None = None
    named_skills: float | None = None
    empty_skills: float | None = None


class AlarmsChecked(Event, frozen=True):
    """The alarms that hold after a step, none included. An alarm of an earlier step that is not among them is over."""

    step: int
    alarms: list[Alarm]


class HeldOutMeasured(Event, frozen=True):
    """The fixed evaluation after `step` updates (0: the untrained curator): the same held-out groups and seeds each time.

    Unlike a step's own r_task, which is of that step's groups, these can be compared. `standard_error` is over groups;
    `unmeasured` counts the positions without an outcome or without a decision; `rewards` are averaged over the
    groups (None in older logs).
    """

    step: int
    groups: int
    r_task: float | None
    standard_error: float | None
    unmeasured: int
    seconds: float
    rewards: RewardBreakdown | None = None


class CheckpointSaved(Event, frozen=True):
    step: int
    path: str
    bytes: int


class AdapterPublished(Event, frozen=True):
    """The curator that answers is the adapter of `step` now, and `how` says by what that was proved.

    `difference`, `separation` and `noise` are those of `engine.models.base.Proof`; `unmeasured` is the reason why the proof
    could not distinguish this adapter from the one before, "" where it could.
    """

    step: int
    how: str
    difference: float | None = None
    separation: float | None = None
    noise: float | None = None
    unmeasured: str = ""


class CheckpointsRemoved(Event, frozen=True):
    """Retention removed the checkpoints of these steps; `bytes` were freed."""

    steps: list[int]
    bytes: int


class CheckpointKept(Event, frozen=True):
    """The person `by` asked that retention never removes the checkpoint of `step`."""

    step: int
    by: str
