"""A toy job that counts games."""

from engine.core.events import UnitEnded
from engine.jobs.base import JobKind


class CountJob:
    """Counts games; stops wherever it is asked to."""

    async def run(self, context):
        context.control.running()
        for game in range(context.done + 1, KIND.total(context.config) + 1):
            await context.control.gate()
            context.writer.emit(UnitEnded(game, 0.5, f"counted to {game}"))


KIND = JobKind(
    name="count",
    unit="game",
    total=lambda config: config.curate.tasks,
    trains=False,
    forks=False,
    work="tests.extending.toys.count:CountJob",
)
