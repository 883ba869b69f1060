"""The base of every model backend's settings; each backend declares its own beside its code."""

from __future__ import annotations

from engine.core.parts import Settings


class ModelSettings(Settings, frozen=True, tag_field="kind"):
    """Which models answer, and where they run."""
