"""The content judge: how good is what an edit writes, in [0, 1]. For the pocket profile a rule-based rubric, named so.

    score = rubric([operation, …], trajectory)

The paper's judge is a 32B model. The rubric asks the same four questions by rules that anyone can check: is it free of
instance names (abstraction), does its description say when to use it (reusability), does its body say something that the
task's own sentence does not (actionability), and does what it says stand in the observations (faithfulness).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from engine.agents.executor import Trajectory
from engine.skills import Delete, Insert, Operation, Skill, Update

_WORD = re.compile(r"[a-z]{3,}")
_INSTANCE = re.compile(r"\b[a-z]+ \d+\b")
_COMMON = frozenset(
    "the and for are was has have with that this them then when where what how who you your not its into from here there "
    "out they some all any one only use first things thing get gets got look".split()
)
MAX_BODY_WORDS = 400
UNWRITTEN = 0.5
"""The score of a deletion or a renaming, which the four questions say nothing about."""


def rubric(operations: Sequence[Operation], trajectory: Trajectory) -> float:
    """The mean score of the decision's valid operations; 0 for a decision without any."""
    if not operations:
        return 0.0
    return sum(_score(operation, trajectory) for operation in operations) / len(operations)


JUDGES: Mapping[str, Callable[[Sequence[Operation], Trajectory], float]] = MappingProxyType({"rubric": rubric})
"""The judges that `judge.kind` can name."""


def _score(operation: Operation, trajectory: Trajectory) -> float:
    """The share of the four questions that one operation answers well; `UNWRITTEN` where it writes nothing."""
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
