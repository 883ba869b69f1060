"""A model as the judge of content, as a configuration names it; `engine.agents.judges.llm` asks it."""

from __future__ import annotations

from typing import Any

from engine.agents.judges.registry import JudgeKind
from engine.agents.judges.settings import AskingSettings
from engine.core.fields import Share


class LlmSettings(AskingSettings, frozen=True, tag="llm"):
    """A model ([judge_model]) answers the four published questions: abstraction, reusability, actionability, faithfulness.
    The score is the mean of the four answers. A decision that changed nothing scores 0 and one that only deleted or renamed
    0.5, as by the rubric, and no model is asked."""

    partly: Share = 0.5
    """What the answer "partly" to one of the four questions counts; "yes" counts 1 and "no" 0."""


def _open(context: Any) -> Any:
    from engine.agents.judges.llm import Llm

    return Llm(context)


KIND = JudgeKind(
    name="llm",
    settings=LlmSettings,
    open=_open,
    needs_model=True,
    prompts="standard",
    reads="engine.agents.judges.llm:read_again",
)
