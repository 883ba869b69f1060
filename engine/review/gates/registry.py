"""The gates that `review.gates` can name: `GATES.load("audit").settings`. Cheap to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.core.parts import PartKind
from engine.core.registry import Registry


class GateKind(PartKind, frozen=True, kw_only=True):
    """A gate. Its settings are the section of the configuration that has its name, where there is one.

    `open(context)` takes an `engine.review.gates.base.GateContext` and gives the `Gate`.
    """

    open: Callable[[Any], Any]


GATES = Registry[GateKind](
    "gate",
    "skillos.gates",
    {"format": "engine.review.gates.format_kind:KIND", "audit": "engine.review.gates.audit_kind:KIND"},
)
