"""The base of every environment's settings; each environment declares its own beside its code."""

from __future__ import annotations

from engine.core.parts import Settings


class EnvironmentSettings(Settings, frozen=True, tag_field="kind"):
    """Which tasks are played."""
