"""A generated household: groups of related tasks in one house, without any data to download."""

from __future__ import annotations

from engine.environments.household.settings import HouseholdSettings
from engine.environments.registry import EnvironmentKind

KIND = EnvironmentKind(name="household", settings=HouseholdSettings)
