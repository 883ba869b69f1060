"""A toy job: it plays the tasks of a stream from an empty repository, then lets a batch strategy revise the run's own."""

from engine.core.events import GroupDrawn, PositionId, RolloutScored, StepStarted
from engine.core.seeds import seed_of
from engine.curation.retrieval import SkillRetriever
from engine.evaluation.held_out import RepositoryScore
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


class DistilJob:
    """Plays `curate.tasks` games, then proposes what the strategy of `[batch]` makes of them."""

    async def run(self, context):
        config = context.config
        source, _ = loading.load_sources(config, lambda what: None, held_out=False)
        async with loading.open_models(config, loading.opening_of(context, None, lambda what: None)) as opened:
            await self._play(context, RolloutContext.open(config, source, opened.models))

    async def _play(self, context, players):
        config, emit, source = context.config, context.writer.emit, players.source
        context.control.running()
        groups = draws(config, source)
        for number in range(context.done + 1, config.curate.tasks + 1):
            await context.control.gate()
            (group,) = groups(number)
            (task,) = group.tasks
            emit(StepStarted(number, [GroupDrawn(group.id, group.family, group.seed, [task.id])]))
            retriever = SkillRetriever(SkillIndex(), SkillUsage(), 0.0)
            at = PositionId(number)
            strategy = players.open_strategy(at, retriever, vetoes=[], seed=number, emit=emit)
            seed = seed_of("distil", number)
            playing = play_position(task, at, SkillRepo.empty(), strategy, seed, context=players, emit=emit)
            position = await context.control.interruptible(playing)
            rollout = Rollout(group, 0, [position])
            parts = score([position.metrics], config.rewards, first_counts=True)
            measured = int(position.measured)
            emit(RolloutScored(number, 0, 0, parts, measured, 1 - measured))
            emit(summary(number, [[rollout]], [[parts]], rollout_seconds=0.0, seconds=0.0))
        context.writer.flush()
        measure = RepositoryScore(players)
        await revise(players.open_batch_strategy(emit), context.run, context.writer, proposer="distil", measure=measure)


def draws(config, source):
    """The groups of a step: one task of the stream."""
    tasks = source.stream(config.curate.seed, config.curate.tasks)
    return lambda step: [Group("distil", 0, 0, task.family, [task]) for task in tasks[step - 1 : step]]


KIND = JobKind(
    name="distil",
    unit="game",
    total=lambda config: config.curate.tasks,
    trains=False,
    forks=False,
    about="play games and distil one skill from them",
    work="tests.extending.toys.job:DistilJob",
    draws="tests.extending.toys.job:draws",
)
