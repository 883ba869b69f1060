"""No curation: the skills that retrieval finds are shown, and nothing is ever edited. It cannot be trained."""

from __future__ import annotations

from engine.curation.registry import StrategyKind
from engine.curation.settings import StrategySettings


class NoCurationSettings(StrategySettings, frozen=True, tag="none"):
    """Retrieval before a task, no edit after it. `[executor]` says how retrieval is done."""


KIND = StrategyKind(
    name="none", settings=NoCurationSettings, opens="engine.curation.none.strategy:NoCuration", replays=True
)
