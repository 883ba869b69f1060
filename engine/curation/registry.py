"""The curation strategies that `strategy.kind` can name: `STRATEGIES.load("skillos").settings`. Cheap to import."""

from __future__ import annotations

from engine.core.parts import PartKind
from engine.core.registry import Registry


class StrategyKind(PartKind, frozen=True):
    """A curation strategy."""


DEFAULT = "skillos"
STRATEGIES = Registry[StrategyKind](
    "curation strategy", "skillos.strategies", {"skillos": "engine.curation.skillos:KIND"}
)
