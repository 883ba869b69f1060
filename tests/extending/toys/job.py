"""A toy job: it plays the tasks of a stream without curation, then lets a batch strategy revise the repository."""

import asyncio

from engine.core.events import GroupDrawn, PositionId, StateChanged, StepStarted
from engine.core.seeds import seed_of
from engine.curation.retrieval import SkillRetriever
from engine.jobs import loading
from engine.jobs.base import JobKind
from engine.jobs.batch import revise
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import Group
from engine.rollouts.position import play_position
from engine.rollouts.rewards import score
from engine.rollouts.rollout import Rollout
from engine.rollouts.summary import summary
from engine.skills import SkillIndex, SkillRepo, SkillUsage
from tests.extending.toys.batch import Distil


class DistilJob:
    """Plays `curate.tasks` games, then proposes what `Distil` makes of them."""

    async def run(self, context):
        config, emit = context.config, context.writer.emit
        source, _ = loading.load_sources(config, lambda what: None, held_out=False)
        opened = await asyncio.to_thread(loading.open_models, config, None, lambda what: None)
        players = RolloutContext.open(config, source, opened.models)
        emit(StateChanged("running"))
        tasks = source.stream(config.curate.seed, config.curate.tasks)
        for number, task in enumerate(tasks[context.done :], start=context.done + 1):
            await context.control.gate()
            emit(StepStarted(number, [GroupDrawn("distil", task.family, 0, [task.id])]))
            retriever = SkillRetriever(SkillIndex(), SkillUsage(), 0.0)
            at = PositionId(number)
            strategy = players.open_strategy(at, retriever, vetoes=[], seed=number, emit=emit)
            seed = seed_of("distil", number)
            playing = play_position(task, at, SkillRepo.empty(), strategy, seed, context=players, emit=emit)
            position = await context.control.interruptible(playing)
            rollout = Rollout(Group("distil", 0, 0, task.family, [task]), 0, [position])
            parts = score([position.measures], config.rewards, first_counts=True)
            emit(summary(number, [[rollout]], [[parts]], rollout_seconds=0.0, seconds=0.0))
        context.writer.flush()

        async def better(repo):
            return 1.0

        await revise(Distil(), context.run, context.writer, proposer="distil", measure=better)


KIND = JobKind(
    name="distil",
    unit="game",
    total=lambda config: config.curate.tasks,
    trains=False,
    forks=False,
    about="play games and distil one skill from them",
    work="tests.extending.toys.job:DistilJob",
)
