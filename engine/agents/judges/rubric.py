"""The rubric: a judge of content by rules, for profiles without a model that could judge.

    score = rubric([operation, …], trajectory)

The paper's judge is a 32B model. The rubric answers the same four questions by rules: is the skill free of instance names
(abstraction), does its description give a case of use (reusability), has its body a word that the task's own sentence
has not (actionability), and are most of those words in the observations (faithfulness).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.agents.executor import Trajectory
from engine.agents.judges.base import JudgedDecision, Judgement
from engine.skills import Delete, Insert, Operation, Skill, Update, operation_of

_WORD = re.compile(r"[a-z]{3,}")
_INSTANCE = re.compile(r"\b[a-z]+ \d+\b")
_COMMON = frozenset(
    "the and for are was has have with that this them then when where what how who you your not its into from here there "
    "out they some all any one only use first things thing get gets got look".split()
)
MAX_BODY_WORDS = 400
UNWRITTEN = 0.5
"""The score of a deletion or a renaming, to which the four questions do not apply."""


def rubric(operations: Sequence[Operation], trajectory: Trajectory) -> float:
    """The mean score of the decision's valid operations; 0 for a decision without any."""
    if not operations:
        return 0.0
    return sum(_score(operation, trajectory) for operation in operations) / len(operations)


class Rubric:
    """The rubric as a judge."""

    async def score(self, decision: JudgedDecision, trajectory: Trajectory) -> Judgement:
        """The rubric's score, which is always measured."""
        return Judgement(rubric([operation_of(edit) for edit in decision.edits], trajectory))


def _score(operation: Operation, trajectory: Trajectory) -> float:
    """The share of the four questions that one operation passes; `UNWRITTEN` where it writes nothing."""
    match operation:
        case Insert(content=content):
            text: str | None = content
        case Update(new_content=content):
            text = content
        case Delete():
            text = None
    if text is None:
        return UNWRITTEN
    skill = Skill.parse(text)
    seen = _words(" ".join([trajectory.opening, *(f"{turn.action} {turn.observation}" for turn in trajectory.turns)]))
    new = _words(skill.body) - _words(trajectory.task.prompt)
    checks = (
        not _INSTANCE.search(skill.body.lower()) and len(skill.body.split()) <= MAX_BODY_WORDS,
        len(_words(skill.description)) >= 1,
        bool(new & seen),
        bool(new) and len(new & seen) >= len(new) / 2,
    )
    return sum(checks) / len(checks)


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower())) - _COMMON
