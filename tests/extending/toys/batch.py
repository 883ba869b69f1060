"""A toy batch strategy: one skill from all tasks that succeeded, if the repository is then better."""

from engine.core.outcomes import SUCCEEDED
from engine.skills import Insert, Skill


class Distil:
    """A batch strategy: one skill from all tasks that succeeded, if the repository is then better."""

    async def revise(self, trajectories, repo, measure):
        won = [trajectory.task.prompt for trajectory in trajectories if trajectory.outcome == SUCCEEDED]
        skill = Skill.make("what-works", "Use for errands.", f"These were done: {' '.join(won)}\n")
        edit = Insert("what-works", skill.text).apply(repo)
        better = await measure(repo)
        return [edit] if better else []
