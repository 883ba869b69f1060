"""The judges that `judge.kind` and `success_judge.kind` can name: `JUDGES.load("rubric").settings`. Cheap to import.

    KIND = JudgeKind(name="strict", settings=StrictSettings, open=Strict, needs_model=True, prompts="strict:prompts")

A package adds one by an entry point in the group `skillos.judges`: strict = "strict:KIND". Judges of success are of the
group `skillos.success_judges`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.agents.judges.settings import JudgeSettings, SuccessJudgeSettings
from engine.core.parts import PartKind, kind_of
from engine.core.registry import Registry


class JudgeKind(PartKind, frozen=True, kw_only=True):
    """A judge of content. `open(context)` takes an `engine.agents.judges.base.JudgeContext` and gives the `Judge`.

    `needs_model`: it cannot score without `JudgeContext.model`; a run with a backend that has none for it is refused.
    `prompts` is the folder of its prompts, "package:folder", which holds the files of the chats of `roles`; "" for none.
    `rule` is for a judge whose score follows from the operations and the trajectory alone: "module:attribute" of a function
    (operations, trajectory) → score, by which `skillos-engine verify` computes the score again. "" for other judges.
    `reads` is for a judge that keeps its model's answer (`Judgement.text`): "module:attribute" of a function (settings,
    operations, text) → `Judgement`, by which `verify` reads the kept answer again. "" where it cannot.
    """

    open: Callable[[Any], Any]
    needs_model: bool = False
    prompts: str = ""
    roles: tuple[str, ...] = ("judge",)
    rule: str = ""
    reads: str = ""


def asks_nobody(settings: Any) -> str:
    """No model is asked, whatever the settings are."""
    return ""


class SuccessJudgeKind(PartKind, frozen=True, kw_only=True):
    """A judge of success, for environments that do not judge it (`EnvironmentKind.judges_success`).

    `open(context)` takes an `engine.agents.judges.success.SuccessContext` and gives the `SuccessJudge`; None: there is no
    judge. `asks(settings)` is the role whose model it asks, "executor" or "judge"; "" for none. `prompts`, `roles` and
    `reads` are those of a `JudgeKind`, where `reads` takes (settings, text) and gives an `Outcome`.
    """

    open: Callable[[Any], Any] | None
    asks: Callable[[Any], str] = asks_nobody
    prompts: str = ""
    roles: tuple[str, ...] = ("success",)
    reads: str = ""


def asks_judge_model(judge: JudgeSettings, success: SuccessJudgeSettings, *, judges_success: bool) -> list[str]:
    """Which settings make a run ask the model of the role "judge": "judge.kind=llm". `judges_success` is the
    environment's."""
    asking = [f"judge.kind={kind_of(judge)}"] if JUDGES.load(kind_of(judge)).needs_model else []
    if not judges_success and SUCCESS_JUDGES.load(kind_of(success)).asks(success) == "judge":
        asking.append(f"success_judge.kind={kind_of(success)}")
    return asking


DEFAULT = "rubric"
JUDGES = Registry(
    "judge",
    "skillos.judges",
    JudgeKind,
    {"rubric": "engine.agents.judges.rubric_kind:KIND", "llm": "engine.agents.judges.llm_kind:KIND"},
)
NO_SUCCESS_JUDGE = "none"
SUCCESS_JUDGES = Registry(
    "judge of success",
    "skillos.success_judges",
    SuccessJudgeKind,
    {"none": "engine.agents.judges.success_kind:NONE", "llm": "engine.agents.judges.success_kind:KIND"},
)
