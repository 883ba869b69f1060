"""SkillOS: the skills that retrieval finds are shown, and a curator edits the repository after each task."""

from __future__ import annotations

from engine.curation.registry import StrategyKind
from engine.curation.settings import StrategySettings


class SkillosSettings(StrategySettings, frozen=True, tag="skillos"):
    """Retrieval before a task, one curator call after it. `[executor]` and `[curator]` say how each is done."""


KIND = StrategyKind(
    name="skillos",
    settings=SkillosSettings,
    opens="engine.curation.skillos.strategy:Skillos",
    samples_per_position=1,
    replays=True,
)
