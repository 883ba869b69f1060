"""A toy gate that plays held-out tasks: it attaches what the repository scores with the edit."""

from engine.core.parts import Settings
from engine.review.gates.base import Verdict
from engine.review.gates.registry import GateKind
from engine.skills import operation_of


class Better:
    """Admits every edit, with the score of the repository that has it."""

    def __init__(self, context):
        self._measure = context.measure

    async def admit(self, edit, repo):
        changed = repo.fork()
        operation_of(edit).apply(changed)
        return Verdict(True, score=None if self._measure is None else await self._measure(changed))


KIND = GateKind(name="better", settings=Settings, open=Better)
