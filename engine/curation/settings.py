"""The bases of the settings of curation strategies and of batch strategies, and the settings of a curate run."""

from __future__ import annotations

from engine.core.fields import Many, UserPath
from engine.core.parts import Settings


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

    adapter: UserPath = ""
    """The curator's adapter: a train run's directory for its best checkpoint by held-out score (its newest where none was
    measured), directory@STEP for that of a step, or a folder with an adapter; "" is the untrained curator."""
