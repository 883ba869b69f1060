"""A toy judge: it answers asynchronously, and every other time it measures nothing."""

import asyncio

from engine.agents.judges.base import Judgement
from engine.agents.judges.registry import JudgeKind
from engine.agents.judges.settings import JudgeSettings


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


KIND = JudgeKind(name="moody", settings=MoodySettings, open=Moody)
