"""No curation: the skills that retrieval finds are shown, and nothing is ever edited. It cannot be trained."""

from __future__ import annotations

from typing import Any

from engine.curation.registry import StrategyKind
from engine.curation.settings import StrategySettings


class NoCurationSettings(StrategySettings, frozen=True, tag="none"):
    """Retrieval before a task, no edit after it. `[executor]` says how retrieval is done."""


def _open(context: Any) -> Any:
    from engine.curation.none.strategy import NoCuration

    return NoCuration(context)


KIND = StrategyKind(name="none", settings=NoCurationSettings, open=_open, replays=True)
