"""The curation strategies that `strategy.kind` and `batch.kind` can name: `STRATEGIES.load("skillos").settings`. Cheap to
import.

    KIND = StrategyKind(name="brief", settings=BriefSettings, open=Brief, samples_per_position=2)

A package adds one by an entry point in the group `skillos.strategies`: brief = "brief:KIND". A batch strategy is a
`BatchStrategyKind` in the group `skillos.batch_strategies`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.core.parts import PartKind, kind_of
from engine.core.registry import Registry
from engine.curation.settings import BatchSettings, StrategySettings


class StrategyKind(PartKind, frozen=True, kw_only=True):
    """A curation strategy.

    `open(context)` takes an `engine.curation.base.StrategyContext` and gives the `CurationStrategy`.
    `samples_per_position` is the most completions that it makes at a position, before and after the task together: a
    training step needs a fixed number of rows, and missing ones are padded. 0: it cannot be trained.
    `replays`: it shows the skills that `engine.skills.find` finds, and its edits are the calls in its one completion, made
    after the task by the curator's prompts. `skillos-engine verify` then derives both again from the log.
    """

    open: Callable[[Any], Any]
    samples_per_position: int = 0
    replays: bool = False


class BatchStrategyKind(PartKind, frozen=True, kw_only=True):
    """A batch strategy. `open(context)` takes an `engine.curation.base.BatchContext` and gives the `BatchStrategy`."""

    open: Callable[[Any], Any]


DEFAULT = "skillos"
STRATEGIES = Registry(
    "curation strategy",
    "skillos.strategies",
    StrategyKind,
    {"skillos": "engine.curation.skillos:KIND", "none": "engine.curation.none:KIND"},
)


NO_BATCH = "none"
BATCH_STRATEGIES = Registry(
    "batch strategy", "skillos.batch_strategies", BatchStrategyKind, {"none": "engine.curation.none:BATCH_KIND"}
)


def strategy_kind(settings: StrategySettings) -> StrategyKind:
    """The kind that `settings` are of."""
    return STRATEGIES.load(kind_of(settings))


def batch_strategy_kind(settings: BatchSettings) -> BatchStrategyKind:
    """The batch strategy that `settings` are of."""
    return BATCH_STRATEGIES.load(kind_of(settings))
