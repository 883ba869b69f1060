"""The rubric as a judge that a configuration names; `engine.agents.judges.rubric` has its rules."""

from __future__ import annotations

from engine.agents.judges.registry import JudgeKind
from engine.agents.judges.settings import JudgeSettings


class RubricSettings(JudgeSettings, frozen=True, tag="rubric"):
    """Four questions that rules answer, without a model."""


KIND = JudgeKind(
    name="rubric",
    settings=RubricSettings,
    opens="engine.agents.judges.rubric:Rubric",
    rule="engine.agents.judges.rubric:rubric",
)
