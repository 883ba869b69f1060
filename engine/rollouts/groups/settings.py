"""The base of every grouping's settings; each grouping declares its own beside its code."""

from __future__ import annotations

from engine.core.parts import Settings


class GroupingSettings(Settings, frozen=True, tag_field="kind"):
    """Which tasks make a training group, and in which order they are played."""
