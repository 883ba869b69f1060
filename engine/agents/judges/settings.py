"""The base of every judge's settings; each judge declares its own beside its code."""

from __future__ import annotations

from engine.core.parts import Settings


class JudgeSettings(Settings, frozen=True, tag_field="kind"):
    """Who scores the content that the curator writes (r_cnt)."""
