"""The format gate as a configuration names it; `engine.review.gates.format` is the gate. Cheap to import."""

from __future__ import annotations

from typing import Any

from engine.core.parts import Settings
from engine.review.gates.registry import GateKind


class FormatSettings(Settings, frozen=True):
    """The format of a skill leaves nothing to choose."""


def _open(context: Any) -> Any:
    from engine.review.gates.format import FormatGate

    return FormatGate()


KIND = GateKind(name="format", settings=FormatSettings, open=_open, measures=False)
