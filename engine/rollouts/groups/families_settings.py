"""The settings of the grouping by families."""

from __future__ import annotations

from typing import Literal

from engine.rollouts.groups.settings import GroupingSettings


class FamiliesSettings(GroupingSettings, frozen=True, tag="families"):
    """All tasks of a group are of one family. The paper leaves open how it is drawn and how the tasks are ordered."""

    weighting: Literal["natural", "uniform"] = "natural"
    """How a family is drawn: `natural`, in proportion to its tasks, or `uniform`, each equally likely. With one family a
    group, as in the household, both are the same."""

    order: Literal["drawn", "easy_to_hard"] = "drawn"
    """The order of a group's tasks: as they are `drawn`, or `easy_to_hard` by the actions that an expert needs."""
