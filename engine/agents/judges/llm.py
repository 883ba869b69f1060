"""A model as the judge of content: four questions about what a decision wrote, answered in JSON (`method.md` §3).

    judgement = await Llm(JudgeContext(settings, models.judge, Prompts.load("standard"), seed=1)).score(decision, trajectory)

The chat is `judge.system.md` and `judge.user.md`. Texts of the curator, the agent and the environment are quoted in it line
by line. A prompt over its cap loses the older half of the trajectory's turns, again and again, with a note in their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from engine.agents.executor import Trajectory
from engine.agents.judges.asking import Asking, NoVerdict, read
from engine.agents.judges.base import JudgeContext, JudgedDecision, Judgement
from engine.agents.judges.llm_kind import LlmSettings
from engine.agents.judges.rubric import UNWRITTEN
from engine.agents.prompting import Prompts
from engine.models.base import Message
from engine.skills import Delete, Edit, Insert, Operation, Update, operation_of

Grade = Literal["yes", "partly", "no"]


class ContentVerdict(msgspec.Struct, frozen=True):
    """The JSON that is asked for. The explanation comes first, so that the grades can follow from it."""

    explanation: str
    issues: list[str]
    abstraction: Grade
    reusability: Grade
    actionability: Grade
    faithfulness: Grade


class Llm:
    """The judge."""

    def __init__(self, context: JudgeContext) -> None:
        assert isinstance(context.settings, LlmSettings) and context.model is not None and context.prompts is not None
        self._settings = context.settings
        self._prompts = context.prompts
        self._asking = Asking(context.model, context.settings, "judge")
        self._seed = context.seed

    async def score(self, decision: JudgedDecision, trajectory: Trajectory) -> Judgement:
        """The mean of the four grades; unmeasured where the answer cannot be read. Raises what the model raises."""
        if (score := _unasked([operation_of(edit) for edit in decision.edits])) is not None:
            return Judgement(score)
        seed = ("judge", self._seed, trajectory.task.id, decision.text)
        answer = await self._asking.ask(_chats(decision.edits, trajectory, self._prompts), ContentVerdict, seed=seed)
        if answer.verdict is None:
            return Judgement(None, answer.reason, answer.text)
        return Judgement(_mean(answer.verdict, self._settings), text=answer.text)


def read_again(settings: LlmSettings, operations: Sequence[Operation], text: str) -> Judgement:
    """The judgement that a kept answer gives: what `JudgeKind.reads` names."""
    if (score := _unasked(operations)) is not None:
        return Judgement(score)
    try:
        return Judgement(_mean(read(text, ContentVerdict), settings), text=text)
    except NoVerdict as error:
        return Judgement(None, str(error), text)


def _unasked(operations: Sequence[Operation]) -> float | None:
    """The score of a decision that wrote nothing, as the rubric gives it; None where a text is to be judged."""
    if not operations:
        return 0.0
    return None if any(map(_writes, operations)) else UNWRITTEN


def _writes(operation: Operation) -> bool:
    match operation:
        case Insert():
            return True
        case Update(new_content=content):
            return content is not None
        case Delete():
            return False


def _mean(verdict: ContentVerdict, settings: LlmSettings) -> float:
    counts = {"yes": 1.0, "partly": settings.partly, "no": 0.0}
    grades = (verdict.abstraction, verdict.reusability, verdict.actionability, verdict.faithfulness)
    return sum(counts[grade] for grade in grades) / len(grades)


def _chats(edits: Sequence[Edit], trajectory: Trajectory, prompts: Prompts) -> Iterator[list[Message]]:
    """The chat, and then shorter ones: each has the newer half of the turns of the one before, and the last has one turn."""
    turns = trajectory.turns
    while True:
        yield prompts.chat(
            "judge",
            task=trajectory.task.prompt,
            edits=edits,
            opening=trajectory.opening,
            turns=turns,
            left_out=len(trajectory.turns) - len(turns),
            result=trajectory.outcome.kind,
        )
        if len(turns) <= 1:
            return
        turns = turns[(len(turns) + 1) // 2 :]
