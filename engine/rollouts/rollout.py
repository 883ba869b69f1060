"""Rollouts: one repository that grows from ∅ over a group's tasks, curated after each (`method.md` §2).

    rollouts = await collect(groups, step=3, context=context, vetoes=vetoes, emit=writer.emit)

All positions 1..|G| are played, whatever the strategy did before. All rollouts of a group play the same tasks with the same
executor seeds; only the strategy's draws differ. So the first episode is played once for those that would play it alike
(`engine.rollouts.shared`). The rollouts are members of a lockstep (`engine.core.lockstep`): which of them a model in this
process answers together depends on no clock. Everything measured is emitted as events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from engine.core.events import Notice, PositionId, Sink, Veto
from engine.core.lockstep import Lockstep, Member
from engine.core.seeds import seed_of
from engine.curation.retrieval import SkillRetriever
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import Group
from engine.rollouts.position import Position, play_position
from engine.rollouts.shared import SharedEpisode
from engine.skills import SkillIndex, SkillRepo, SkillUsage


class Rollout(msgspec.Struct, frozen=True):
    """One of a group's N rollouts, with its positions in order."""

    group: Group
    index: int
    positions: list[Position]


async def collect(
    groups: Sequence[Group],
    *,
    step: int,
    context: RolloutContext,
    vetoes: Sequence[Veto],
    emit: Sink,
    held_out: bool = False,
    draws: int | None = None,
    start: SkillRepo | None = None,
) -> list[list[Rollout]]:
    """All rollouts of a step, `[group][rollout]`, played at the same time so that the model can batch them.

    `draws` varies what the strategy draws; it is the step's number where none is given. Each rollout edits a copy of
    `start`, or begins with an empty repository.
    """
    count = context.config.training.rollouts
    where = PositionId(step, held_out=held_out)
    curate = step if draws is None else draws
    lockstep = Lockstep(context.holds, on_loose=lambda why: emit(Notice("warning", why)))
    async with asyncio.TaskGroup() as tasks:
        playing = []
        for group in groups:
            shared = SharedEpisode() if count > 1 else None
            members = [lockstep.member(group.number, index) for index in range(count)]
            playing.append(
                [
                    tasks.create_task(
                        _rollout(group, index, where, curate, context, vetoes, emit, start, member, shared)
                    )
                    for index, member in enumerate(members)
                ]
            )
    return [[task.result() for task in row] for row in playing]


async def _rollout(
    group: Group,
    index: int,
    where: PositionId,
    draws: int,
    context: RolloutContext,
    vetoes: Sequence[Veto],
    emit: Sink,
    start: SkillRepo | None,
    member: Member,
    shared: SharedEpisode | None,
) -> Rollout:
    """One rollout of the step, or of the evaluation, that `where` names. Its first episode may be `shared`."""
    repo = SkillRepo.empty() if start is None else start.fork()
    skills = SkillIndex() if start is None else SkillIndex.of(repo)
    retriever = SkillRetriever(skills, SkillUsage(), context.config.executor.reliability_weight)
    positions = []
    with member:
        for number, task in enumerate(group.tasks, start=1):
            at = msgspec.structs.replace(where, group=group.number, rollout=index, position=number)
            seed = seed_of("curate", group.seed, draws, index, number)
            strategy = context.open_strategy(at, retriever, vetoes=vetoes, seed=seed, emit=emit)
            play_seed = seed_of("play", group.seed, number)
            positions.append(
                await play_position(
                    task,
                    at,
                    repo,
                    strategy,
                    play_seed,
                    context=context,
                    emit=emit,
                    shared=shared if number == 1 else None,
                )
            )
    return Rollout(group, index, positions)
