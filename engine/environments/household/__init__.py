"""A generated household: groups of related tasks in one house. It needs no files."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.environments.base import EnvironmentKind, TaskSource
from engine.environments.household.settings import HouseholdSettings


def open_source(settings: HouseholdSettings) -> TaskSource:
    """All houses; there is nothing to set."""
    from engine.environments.household.source import HouseholdTasks

    return HouseholdTasks()


def held_out(settings: HouseholdSettings, source: TaskSource) -> TaskSource:
    """The same source: held-out groups are drawn in houses of other seeds."""
    return source


def instances(text: str) -> Iterable[str]:
    """The houses that a text names: "house-3"."""
    return (f"house-{number}" for number in re.findall(r"\bhouse[ _-]?(\d+)\b", text, re.IGNORECASE))


KIND = EnvironmentKind(
    name="household",
    settings=HouseholdSettings,
    open=open_source,
    held_out=held_out,
    lists_actions=True,
    instances=instances,
)
