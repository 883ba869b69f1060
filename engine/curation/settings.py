"""The bases of the settings of curation strategies and of batch strategies, and the settings of a curate run."""

from __future__ import annotations

import msgspec

from engine.core.fields import Many
from engine.core.parts import Settings, absolute_path


class StrategySettings(Settings, frozen=True, tag_field="kind"):
    """How skills are shown before a task, and how the repository is edited after it."""


class BatchSettings(Settings, frozen=True, tag_field="kind"):
    """How a repository is revised after many tasks, by the kinds of run that do so."""


class CurateSettings(Settings, frozen=True):
    """A curate run: tasks follow one another over one lasting repository."""

    tasks: Many = 60
    """How many tasks the run plays."""

    seed: int = 1
    """The seed that draws the tasks."""

    adapter: str = ""
    """The curator's adapter: a checkpoint, or a train run's directory for its newest one; "" is the untrained curator."""

    def absolute(self) -> CurateSettings:
        return msgspec.structs.replace(self, adapter=absolute_path(self.adapter))
