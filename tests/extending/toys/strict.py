"""A toy judge that asks a model, by prompts of its own package."""

import re

from engine.agents.judges.base import Judgement
from engine.agents.judges.registry import JudgeKind
from engine.agents.judges.settings import JudgeSettings
from engine.core.seeds import seed_of
from engine.models.base import Sampling


class StrictSettings(JudgeSettings, frozen=True, tag="strict"):
    """A judge that asks a model for a mark from 0 to 10."""


class Strict:
    """Asks the model once for each decision."""

    def __init__(self, context):
        self._context = context

    async def score(self, decision, trajectory):
        texts = [edit.after for edit in decision.edits if edit.after]
        chat = self._context.prompts.chat("judge", task=trajectory.task.prompt, texts=texts)
        seed = seed_of("judge", self._context.seed, decision.text)
        answer = await self._context.model.complete(chat, Sampling(max_tokens=8, seed=seed))
        mark = re.search(r"\b(10|\d)\b", answer.text)
        return Judgement(int(mark[1]) / 10) if mark else Judgement(None, f"the model gave no mark: {answer.text!r}")


KIND = JudgeKind(
    name="strict", settings=StrictSettings, open=Strict, needs_model=True, prompts="tests.extending.toys:prompts"
)
