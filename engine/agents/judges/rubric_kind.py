"""The rubric as a judge that a configuration names; `engine.agents.judges.rubric` has its rules."""

from __future__ import annotations

from typing import Any

from engine.agents.judges.registry import JudgeKind
from engine.agents.judges.settings import JudgeSettings


class RubricSettings(JudgeSettings, frozen=True, tag="rubric"):
    """Four questions that rules answer, without a model."""


def _open(context: Any) -> Any:
    from engine.agents.judges.rubric import Rubric

    return Rubric()


KIND = JudgeKind(name="rubric", settings=RubricSettings, open=_open, rule="engine.agents.judges.rubric:rubric")
