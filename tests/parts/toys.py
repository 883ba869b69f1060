"""Parts as other packages would write them: a strategy, a judge, a grouping, a job and a batch strategy."""

import asyncio

import msgspec

from engine.agents.judges.base import Judgement
from engine.agents.judges.registry import JudgeKind
from engine.agents.judges.settings import JudgeSettings
from engine.core.events import StateChanged
from engine.core.fields import Positive
from engine.core.outcomes import SUCCEEDED
from engine.core.seeds import seed_of
from engine.curation.base import Curation, Shown
from engine.curation.calls import apply_calls
from engine.curation.registry import StrategyKind
from engine.curation.settings import StrategySettings
from engine.jobs.base import JobKind
from engine.models.base import Message, Sampling
from engine.rollouts.groups.base import Group
from engine.rollouts.groups.registry import GroupingKind
from engine.rollouts.groups.settings import GroupingSettings
from engine.skills import Insert, Skill, parse_operations
from tests.runs.samples import step_ended

BRIEF = "Write a briefing for:"
REFLECT = "Write a skill after:"


class BriefingSettings(StrategySettings, frozen=True, tag="briefing"):
    """One call writes a briefing before the task, another edits the repository after it."""

    words: Positive = 40
    """The length of a briefing."""


class Briefing:
    """A strategy with two trainable completions at a position."""

    def __init__(self, context):
        self._context = context

    async def before(self, task, repo):
        words = self._context.config.strategy.words
        made = await self._ask(f"{BRIEF} {task.prompt} ({words} words)", "brief")
        return Shown(briefing=made.text, completions=[made])

    async def after(self, trajectory, shown, repo):
        made = await self._ask(f"{REFLECT} {trajectory.task.prompt}", "reflect")
        calls, edits = apply_calls(parse_operations(made.text), repo)
        return Curation(calls, edits, [made])

    async def _ask(self, text, what):
        sampling = Sampling(max_tokens=40, seed=seed_of(what, self._context.seed))
        return await self._context.models.curator.complete([Message("user", text)], sampling)


BRIEFING = StrategyKind(name="briefing", settings=BriefingSettings, open=Briefing, samples_per_position=2)


class MoodySettings(JudgeSettings, frozen=True, tag="moody"):
    """A judge that answers every other time."""


class Moody:
    """Answers after a while, and every other time with no score."""

    def __init__(self, context):
        self._asked = 0

    async def score(self, decision, trajectory):
        self._asked += 1
        asked = self._asked
        await asyncio.sleep(0.001)
        return Judgement(None, "no mood") if asked % 2 else Judgement(0.75)


MOODY = JudgeKind(name="moody", settings=MoodySettings, open=Moody)


class MixedSettings(GroupingSettings, frozen=True, tag="mixed"):
    """A group's tasks are of all families."""


class Mixed(msgspec.Struct, frozen=True):
    """Groups from the stream of a curate run."""

    settings: MixedSettings

    def groups(self, source, settings, step):
        seeds = [seed_of("mixed", settings.seed, step, number) for number in range(settings.groups)]
        return [
            Group(f"mixed-{seed}", number, seed, "mixed", source.stream(seed, settings.tasks))
            for number, seed in enumerate(seeds)
        ]


MIXED = GroupingKind(name="mixed", settings=MixedSettings, open=Mixed)


class CountJob:
    """Counts games; stops wherever it is asked to."""

    async def run(self, context):
        context.writer.emit(StateChanged("running"))
        for game in range(context.done + 1, COUNT.total(context.config) + 1):
            await context.control.gate()
            context.writer.emit(step_ended(game))


COUNT = JobKind(
    name="count",
    unit="game",
    total=lambda config: config.curate.tasks,
    trains=False,
    forks=False,
    work="tests.parts.toys:CountJob",
)


class Distil:
    """A batch strategy: one skill from all tasks that succeeded, if the repository is then better."""

    async def revise(self, trajectories, repo, measure):
        won = [trajectory.task.prompt for trajectory in trajectories if trajectory.outcome == SUCCEEDED]
        skill = Skill.make("what-works", "Use for errands.", f"These were done: {' '.join(won)}\n")
        edit = Insert("what-works", skill.text).apply(repo)
        better = await measure(repo)
        return [edit] if better else []
