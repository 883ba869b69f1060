"""The judges that `judge.kind` can name: `JUDGES.load("rubric").settings`. Cheap to import.

    KIND = JudgeKind(name="strict", settings=StrictSettings, open=Strict, needs_model=True, prompts="strict:prompts")

A package adds one by an entry point in the group `skillos.judges`: strict = "strict:KIND".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.core.parts import PartKind
from engine.core.registry import Registry


class JudgeKind(PartKind, frozen=True, kw_only=True):
    """A judge of content. `open(context)` takes an `engine.agents.judges.base.JudgeContext` and gives the `Judge`.

    `needs_model`: it cannot score without `JudgeContext.model`; a run with a backend that has none for it is refused.
    `prompts` is the folder of its prompts, "package:folder", which holds the files of the chats of `roles`; "" for none.
    `rule` is for a judge whose score follows from the operations and the trajectory alone: "module:attribute" of a function
    (operations, trajectory) → score, by which `skillos-engine verify` computes the score again. "" for other judges.
    """

    open: Callable[[Any], Any]
    needs_model: bool = False
    prompts: str = ""
    roles: tuple[str, ...] = ("judge",)
    rule: str = ""


DEFAULT = "rubric"
JUDGES = Registry("judge", "skillos.judges", JudgeKind, {"rubric": "engine.agents.judges.rubric_kind:KIND"})
