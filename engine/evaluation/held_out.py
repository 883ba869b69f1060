"""A fixed evaluation: r_task of a curator over held-out groups, the same groups and seeds every time.

    result = await evaluate(context, groups=96)
    result.r_task, result.standard_error
    event = await measure(context, step=10, emit=writer.emit)        # of a run: its episodes are events too
    score = await RepositoryScore(context)(repo)                     # of a repository, for gates and batch strategies

Each group of an evaluation is one rollout from an empty repository. Positions without an outcome or without a decision are
counted as unmeasured; an unknown outcome is left out of the mean, and is not a failure.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from statistics import stdev

import msgspec

from engine.core.events import AnyEvent, GroupDrawn, HeldOutMeasured, MeasurementStarted, RewardBreakdown, Sink
from engine.core.seeds import seed_of
from engine.curation.registry import STRATEGIES
from engine.environments.base import TaskSource
from engine.environments.registry import open_held_out
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import Group
from engine.rollouts.groups.families import Families
from engine.rollouts.groups.families_settings import FamiliesSettings
from engine.rollouts.reporting import Pace
from engine.rollouts.rewards import average, score
from engine.rollouts.rollout import collect
from engine.skills import SkillRepo

FIRST_SEED = 2_000_000_000


class HeldOut(msgspec.Struct, frozen=True):
    """Means over the groups; `standard_error` is that of r_task over groups; None is unmeasured."""

    groups: int
    rewards: RewardBreakdown
    standard_error: float | None
    unmeasured: int
    operations: dict[str, int]

    @property
    def r_task(self) -> float | None:
        """Mean success over positions 2..|G|."""
        return self.rewards.r_task


def held_out_groups(source: TaskSource, tasks: int, count: int) -> list[Group]:
    """The first `count` held-out groups of `source`, of `tasks` tasks each, whatever `[grouping]` says."""
    grouping = Families(FamiliesSettings(weighting="natural", order="drawn"))
    return [grouping.group(source, tasks, FIRST_SEED + number, number) for number in range(count)]


def _ignore(event: AnyEvent) -> None:
    """The sink of an evaluation outside a run."""


async def evaluate(
    context: RolloutContext, groups: int, *, seed: int = 0, step: int = 0, emit: Sink = _ignore
) -> HeldOut:
    """Play `groups` held-out groups of the context's source once each. `seed` varies the strategy's draws, never the groups.

    The events have held-out position ids of `step`. The source is one whose tasks are not trained on, see
    `engine.environments.registry.open_held_out`.
    """
    training = msgspec.structs.replace(context.config.training, rollouts=1)
    players = msgspec.structs.replace(context, config=msgspec.structs.replace(context.config, training=training))
    drawn = held_out_groups(context.source, training.tasks, groups)
    groups_drawn = [
        GroupDrawn(group.id, group.family, group.seed, [task.id for task in group.tasks]) for group in drawn
    ]
    emit(MeasurementStarted(step, groups_drawn))
    rows = await collect(
        drawn,
        step=step,
        context=players,
        vetoes=[],
        emit=Pace(emit, "measuring", sum(len(group.tasks) for group in drawn)),
        held_out=True,
        draws=seed_of("held-out", seed),
    )
    rollouts = [row[0] for row in rows]
    parts = [
        score([position.metrics for position in rollout.positions], context.config.rewards) for rollout in rollouts
    ]
    positions = [position for rollout in rollouts for position in rollout.positions]
    operations: dict[str, int] = {}
    for position in positions:
        for edit in position.edits:
            operations[edit.operation] = operations.get(edit.operation, 0) + 1
    return HeldOut(
        groups=groups,
        rewards=average(parts),
        standard_error=standard_error([part.r_task for part in parts]),
        unmeasured=sum(not position.measured for position in positions),
        operations=operations,
    )


def standard_error(values: Sequence[float | None]) -> float | None:
    """The standard error of the mean over the groups that were measured; None below two."""
    measured = [value for value in values if value is not None]
    return stdev(measured) / math.sqrt(len(measured)) if len(measured) > 1 else None


class RepositoryScore:
    """The `Measure` of a job: r_task of held-out groups that are played with a repository and without curation.

    `context` is the run's, over its own tasks. The held-out source is opened for the first score, so a run that asks for
    none pays nothing. The groups are those of `measure`. Nothing is emitted.
    """

    def __init__(self, context: RolloutContext) -> None:
        self._context = context
        self._held_out: RolloutContext | None = None
        self._opening = asyncio.Lock()

    async def __call__(self, repo: SkillRepo) -> float | None:
        """Mean r_task over all positions, in [0, 1]; None where nothing was measured. `repo` stays as it is.

        Raises `ConfigError` where the held-out groups would be of the tasks that are trained on, and `TaskSourceError`.
        """
        async with self._opening:
            if self._held_out is None:
                self._held_out = await asyncio.to_thread(self._open)
        return await repository_score(self._held_out, repo, self._context.config.training.evaluate_groups)

    def _open(self) -> RolloutContext:
        context = self._context
        return msgspec.structs.replace(context, source=open_held_out(context.config.environment, context.source))


async def repository_score(context: RolloutContext, repo: SkillRepo, groups: int) -> float | None:
    """Mean r_task of `groups` held-out groups of the context's source, each played from `repo` without curation.

    All positions count: the first one already plays with skills. None is unmeasured.
    """
    kind = STRATEGIES.load("none")
    training = msgspec.structs.replace(context.config.training, rollouts=1)
    config = msgspec.structs.replace(context.config, training=training, strategy=kind.settings())
    players = msgspec.structs.replace(context, config=config, strategy=kind)
    drawn = held_out_groups(context.source, training.tasks, groups)
    rows = await collect(
        drawn, step=0, context=players, vetoes=[], emit=_ignore, held_out=True, draws=seed_of("held-out", 0), start=repo
    )
    parts = [
        score([position.metrics for position in rollout.positions], config.rewards, first_counts=True)
        for row in rows
        for rollout in row
    ]
    return average(parts).r_task


async def measure(context: RolloutContext, step: int, emit: Sink) -> HeldOutMeasured:
    """The fixed evaluation of a training run after `step` updates, as its event; the groups are `evaluate_groups`.

    The episodes are emitted, the result is not.
    """
    began = time.monotonic()
    result = await evaluate(context, context.config.training.evaluate_groups, step=step, emit=emit)
    return HeldOutMeasured(
        step=step,
        groups=result.groups,
        r_task=result.r_task,
        standard_error=result.standard_error,
        unmeasured=result.unmeasured,
        seconds=time.monotonic() - began,
        rewards=result.rewards,
    )
