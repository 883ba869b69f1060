"""A toy job that counts games."""

from engine.core.events import StateChanged
from engine.jobs.base import JobKind
from tests.runs.samples import step_ended


class CountJob:
    """Counts games; stops wherever it is asked to."""

    async def run(self, context):
        context.writer.emit(StateChanged("running"))
        for game in range(context.done + 1, KIND.total(context.config) + 1):
            await context.control.gate()
            context.writer.emit(step_ended(game))


KIND = JobKind(
    name="count",
    unit="game",
    total=lambda config: config.curate.tasks,
    trains=False,
    forks=False,
    work="tests.extending.toys.count:CountJob",
)
