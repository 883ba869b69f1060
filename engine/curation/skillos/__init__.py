"""SkillOS: the skills that retrieval finds are shown, and a curator edits the repository after each task."""

from __future__ import annotations

from typing import Any

from engine.curation.registry import StrategyKind
from engine.curation.settings import StrategySettings


class SkillosSettings(StrategySettings, frozen=True, tag="skillos"):
    """Retrieval before a task, one curator call after it. `[executor]` and `[curator]` say how each is done."""


def _open(context: Any) -> Any:
    from engine.curation.skillos.strategy import Skillos

    return Skillos(context)


KIND = StrategyKind(name="skillos", settings=SkillosSettings, open=_open, samples_per_position=1, replays=True)
