"""The grouping by families as a configuration names it; `engine.rollouts.groups.families` draws the groups."""

from __future__ import annotations

from typing import Any

from engine.rollouts.groups.families_settings import FamiliesSettings
from engine.rollouts.groups.registry import GroupingKind


def _open(settings: FamiliesSettings) -> Any:
    from engine.rollouts.groups.families import Families

    return Families(settings)


KIND = GroupingKind(name="families", settings=FamiliesSettings, open=_open)
