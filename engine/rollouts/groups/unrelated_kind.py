"""The grouping of unrelated tasks as a configuration names it; `engine.rollouts.groups.unrelated` draws the groups."""

from __future__ import annotations

from typing import Any

from engine.rollouts.groups.registry import GroupingKind
from engine.rollouts.groups.unrelated_settings import UnrelatedSettings


def _open(settings: UnrelatedSettings) -> Any:
    from engine.rollouts.groups.unrelated import Unrelated

    return Unrelated(settings)


KIND = GroupingKind(name="unrelated", settings=UnrelatedSettings, open=_open)
