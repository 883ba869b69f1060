"""A toy batch strategy: one skill from all tasks that succeeded, unless the repository is then measured as worse."""

from engine.core.outcomes import SUCCEEDED
from engine.curation.registry import BatchStrategyKind
from engine.curation.settings import BatchSettings
from engine.skills import Insert, Skill


class DistilSettings(BatchSettings, frozen=True, tag="distil"):
    """One skill from all tasks that succeeded."""

    skill: str = "what-works"
    """The skill's name."""


class Distil:
    """One skill from all tasks that succeeded, unless the repository is then measured as worse."""

    def __init__(self, context):
        self._skill = context.settings.skill

    async def revise(self, trajectories, repo, measure):
        before = await measure(repo)
        won = [trajectory.task.prompt for trajectory in trajectories if trajectory.outcome == SUCCEEDED]
        skill = Skill.make(self._skill, "Use for errands.", f"These were done: {' '.join(won)}\n")
        edit = Insert(self._skill, skill.text).apply(repo)
        after = await measure(repo)
        return [] if before is None or after is None or after < before else [edit]


KIND = BatchStrategyKind(name="distil", settings=DistilSettings, open=Distil)
