"""Generated houses with things to fetch; needs no files."""

from __future__ import annotations

from engine import config
from engine.environments.base import EnvironmentKind, TaskSource


def open_source(settings: config.Environment) -> TaskSource:
    """Every house; there is nothing to set."""
    from engine.environments.household.source import HouseholdTasks

    return HouseholdTasks()


def held_out(settings: config.Environment, source: TaskSource) -> TaskSource:
    """The same source: held-out groups are drawn in houses of other seeds."""
    return source


KIND = EnvironmentKind(name="household", open=open_source, held_out=held_out)
