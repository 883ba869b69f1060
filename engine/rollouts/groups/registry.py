"""The groupings that `grouping.kind` can name: `GROUPINGS.load("families").settings`. Cheap to import."""

from __future__ import annotations

from engine.core.parts import PartKind
from engine.core.registry import Registry


class GroupingKind(PartKind, frozen=True):
    """A grouping of tasks."""


DEFAULT = "families"
GROUPINGS = Registry[GroupingKind](
    "grouping", "skillos.groupings", {"families": "engine.rollouts.groups.families_kind:KIND"}
)
