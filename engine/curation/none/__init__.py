"""No curation: the skills that retrieval finds are shown, and nothing is ever edited. It cannot be trained."""

from __future__ import annotations

from typing import Any

from engine.curation.registry import BatchStrategyKind, StrategyKind
from engine.curation.settings import BatchSettings, StrategySettings


class NoCurationSettings(StrategySettings, frozen=True, tag="none"):
    """Retrieval before a task, no edit after it. `[executor]` says how retrieval is done."""


def _open(context: Any) -> Any:
    from engine.curation.none.strategy import NoCuration

    return NoCuration(context)


KIND = StrategyKind(name="none", settings=NoCurationSettings, open=_open, replays=True)


class NoBatchSettings(BatchSettings, frozen=True, tag="none"):
    """The repository is not revised after many tasks."""


def _open_batch(context: Any) -> Any:
    from engine.curation.none.strategy import NoBatch

    return NoBatch()


BATCH_KIND = BatchStrategyKind(name="none", settings=NoBatchSettings, open=_open_batch)
