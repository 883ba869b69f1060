"""The format gate: an edit must parse as a skill and apply to the repository."""

from __future__ import annotations

from engine.core.parts import Settings
from engine.review.gates.registry import GateKind


class FormatSettings(Settings, frozen=True):
    """The format of a skill leaves nothing to choose."""


KIND = GateKind(name="format", settings=FormatSettings)
