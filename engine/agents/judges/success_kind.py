"""The judges of success that a configuration names; `engine.agents.judges.success` asks the model."""

from __future__ import annotations

from typing import Any, Literal

from engine.agents.judges.registry import SuccessJudgeKind
from engine.agents.judges.settings import AskingSettings, SuccessJudgeSettings


class NoSuccessJudgeSettings(SuccessJudgeSettings, frozen=True, tag="none"):
    """The environment decides. One that does not cannot be played so."""


class LlmSuccessSettings(AskingSettings, SuccessJudgeSettings, frozen=True, tag="llm"):
    """A model decides by the actions and observations, where the environment does not: only what the observations confirm
    counts, and a task that is done in part is failed."""

    model: Literal["executor", "judge"] = "executor"
    """Whose model is asked: the executor's (as published), or that of [judge_model]."""


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
