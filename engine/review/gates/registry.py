"""The gates that `review.gates` can name: `GATES.load("audit").settings`. Cheap to import."""

from __future__ import annotations

from engine.core.parts import PartKind
from engine.core.registry import Registry


class GateKind(PartKind, frozen=True):
    """A gate. Its settings are the section of the configuration that has its name, where there is one."""


GATES = Registry[GateKind](
    "gate",
    "skillos.gates",
    {"format": "engine.review.gates.format:KIND", "audit": "engine.review.gates.audit:KIND"},
)
