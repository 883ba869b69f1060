"""A model as the judge of content, as a configuration names it; `engine.agents.judges.llm` asks it."""

from __future__ import annotations

from typing import Any

from engine.agents.judges.registry import JudgeKind
from engine.agents.judges.settings import LlmSettings


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
