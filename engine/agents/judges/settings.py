"""The base of every judge's settings; each judge declares its own beside its code."""

from __future__ import annotations

from engine.core.fields import Seconds
from engine.core.parts import Settings


class JudgeSettings(Settings, frozen=True, tag_field="kind"):
    """Who scores the content that the curator writes (r_cnt)."""

    deadline_seconds: Seconds = 60.0
    """The time limit of one judgement. After it the decision's content is unmeasured."""
