"""The settings of the household: it has none, since its houses are generated and each task has a step cap of its own."""

from __future__ import annotations

from engine.environments.settings import EnvironmentSettings


class HouseholdSettings(EnvironmentSettings, frozen=True, tag="household"):
    """Generated houses; they need no files."""
