"""The settings of the grouping of unrelated tasks."""

from __future__ import annotations

from engine.rollouts.groups.settings import GroupingSettings


class UnrelatedSettings(GroupingSettings, frozen=True, tag="unrelated"):
    """Each task of a group is drawn by itself, so that what a group's first tasks teach need not help with the later ones:
    the ablation of grouping."""
