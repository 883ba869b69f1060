"""The groupings that `grouping.kind` can name: `GROUPINGS.load("families").settings`. Cheap to import.

    KIND = GroupingKind(name="mixed", settings=MixedSettings, open=Mixed)

A package adds one by an entry point in the group `skillos.groupings`: mixed = "mixed:KIND".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.core.parts import PartKind
from engine.core.registry import Registry


class GroupingKind(PartKind, frozen=True, kw_only=True):
    """A grouping of tasks. `open(settings)` gives the `engine.rollouts.groups.base.Grouping`."""

    open: Callable[[Any], Any]


DEFAULT = "families"
GROUPINGS = Registry(
    "grouping",
    "skillos.groupings",
    GroupingKind,
    {
        "families": "engine.rollouts.groups.families_kind:KIND",
        "unrelated": "engine.rollouts.groups.unrelated_kind:KIND",
    },
)
