"""The strategy that never edits: a repository is used as it is."""

from __future__ import annotations

from collections.abc import Sequence

from engine.agents.executor import Trajectory
from engine.curation.base import Curation, Shown, StrategyContext, ranked
from engine.environments.base import Task
from engine.review.gates.base import Measure
from engine.skills import Edit, SkillRepo


class NoCuration:
    """One position without curation."""

    def __init__(self, context: StrategyContext) -> None:
        self._context = context

    async def before(self, task: Task, repo: SkillRepo) -> Shown:
        """The skills that are found for the task's sentence."""
        context = self._context
        return Shown(ranked(context.retriever.find(task.prompt, context.config.executor.skills), repo))

    async def after(self, trajectory: Trajectory, shown: Shown, repo: SkillRepo) -> Curation:
        """No edit."""
        self._context.retriever.record(trajectory.shown, trajectory.outcome)
        return Curation()


class NoBatch:
    """The batch strategy without edits."""

    async def revise(self, trajectories: Sequence[Trajectory], repo: SkillRepo, measure: Measure) -> list[Edit]:
        """No edit."""
        return []
