"""A fixed evaluation: r_task of a curator over held-out groups, the same groups and seeds every time.

    result = await evaluate(agents, groups=96)
    result.r_task, result.standard_error

Each group is one rollout from an empty repository. Unmeasured positions are counted and left out, never taken as failures.
"""

from __future__ import annotations

import math
import time
from statistics import stdev

import msgspec

from engine.config import Training
from engine.environments.contract import World
from engine.runs.events import AnyEvent, HeldOutMeasured, Parts
from engine.seeds import seed_of
from engine.training.groups import Group, draw_group
from engine.training.rewards import average, score
from engine.training.rollout import Agents, collect

FIRST_SEED = 2_000_000_000


class HeldOut(msgspec.Struct, frozen=True):
    """Means over the groups; `standard_error` is that of r_task over groups; None is unmeasured."""

    groups: int
    parts: Parts
    standard_error: float | None
    unmeasured: int
    operations: dict[str, int]

    @property
    def r_task(self) -> float | None:
        """Mean success over positions 2..|G|."""
        return self.parts.r_task


def held_out_groups(world: World, tasks: int, count: int) -> list[Group]:
    """The first `count` held-out groups of `world`, of `tasks` tasks each, however training draws its own."""
    settings = Training(tasks=tasks, families="natural", order="drawn")
    return [draw_group(world, settings, FIRST_SEED + number, number) for number in range(count)]


async def evaluate(agents: Agents, groups: int, *, seed: int = 0) -> HeldOut:
    """Play `groups` held-out groups of the agents' world once each. `seed` varies the curator's draws, never the groups.

    The world is one whose games are not trained on, see `engine.environments.worlds.open_held_out`.
    """
    training = msgspec.structs.replace(agents.config.training, rollouts=1)
    players = msgspec.structs.replace(agents, config=msgspec.structs.replace(agents.config, training=training))
    drawn = held_out_groups(agents.world, training.tasks, groups)
    rows = await collect(drawn, step=seed_of("held-out", seed), agents=players, vetoes=[], emit=_ignore)
    rollouts = [row[0] for row in rows]
    parts = [
        score([position.measures for position in rollout.positions], agents.config.rewards) for rollout in rollouts
    ]
    tasks = [part.r_task for part in parts if part.r_task is not None]
    positions = [position for rollout in rollouts for position in rollout.positions]
    operations: dict[str, int] = {}
    for position in positions:
        for edit in position.edits:
            operations[edit.operation.kind] = operations.get(edit.operation.kind, 0) + 1
    return HeldOut(
        groups=groups,
        parts=average(parts),
        standard_error=stdev(tasks) / math.sqrt(len(tasks)) if len(tasks) > 1 else None,
        unmeasured=sum(not position.trajectory.outcome.measured for position in positions),
        operations=operations,
    )


async def measure(agents: Agents, step: int) -> HeldOutMeasured:
    """The fixed evaluation of a training run after `step` updates, as its event; the groups are `evaluate_groups`."""
    began = time.monotonic()
    result = await evaluate(agents, agents.config.training.evaluate_groups)
    return HeldOutMeasured(
        step=step,
        groups=result.groups,
        r_task=result.r_task,
        standard_error=result.standard_error,
        unmeasured=result.unmeasured,
        seconds=time.monotonic() - began,
    )


def _ignore(event: AnyEvent) -> None:
    """An evaluation's episodes are no events of the run."""
