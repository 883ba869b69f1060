"""The judges of success that a configuration names; `engine.agents.judges.success` asks the model."""

from __future__ import annotations

from typing import Any

from engine.agents.judges.registry import SuccessJudgeKind
from engine.agents.judges.settings import LlmSuccessSettings, SuccessJudgeSettings


class NoSuccessJudgeSettings(SuccessJudgeSettings, frozen=True, tag="none"):
    """The environment decides. One that does not cannot be played so."""


def _open(context: Any) -> Any:
    from engine.agents.judges.success import LlmSuccess

    return LlmSuccess(context)


def _asks(settings: LlmSuccessSettings) -> str:
    return settings.model


NONE = SuccessJudgeKind(name="none", settings=NoSuccessJudgeSettings, open=None)
KIND = SuccessJudgeKind(
    name="llm",
    settings=LlmSuccessSettings,
    open=_open,
    asks=_asks,
    prompts="standard",
    reads="engine.agents.judges.success:read_again",
)
