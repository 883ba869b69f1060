"""The strategy of SkillOS (`method.md` §2): BM25 before a task, one call of the curator after it."""

from __future__ import annotations

from engine.agents import curator
from engine.agents.executor import Trajectory
from engine.curation.base import Curation, Shown, StrategyContext, ranked
from engine.curation.calls import apply_calls
from engine.environments.base import Task
from engine.skills import SkillRepo, parse_operations


class Skillos:
    """One position of SkillOS."""

    def __init__(self, context: StrategyContext) -> None:
        self._context = context

    async def before(self, task: Task, repo: SkillRepo) -> Shown:
        """The skills that are found for the task's sentence."""
        context = self._context
        return Shown(ranked(context.retriever.find(task.prompt, context.config.executor.skills), repo))

    async def after(self, trajectory: Trajectory, shown: Shown, repo: SkillRepo) -> Curation:
        """What the curator calls after `trajectory`. Raises `ModelUnavailable`."""
        context = self._context
        context.retriever.record(trajectory.shown, trajectory.outcome)
        decision = await curator.decide(
            trajectory,
            shown.skills,
            context.vetoes,
            model=context.models.curator,
            prompts=context.prompts,
            settings=context.config.curator,
            seed=context.seed,
        )
        calls, edits = apply_calls(parse_operations(decision.completion.text), repo, context.retriever.follow)
        return Curation(
            calls,
            edits,
            [decision.completion],
            decision.shown,
            decision.dropped_turns,
            decision.dropped_vetoes,
        )
