"""The gates that `review.gates` can name: `GATES.load("audit").settings`. Cheap to import.

    KIND = GateKind(name="short", settings=ShortSettings, open=Short)        # [short] holds its settings

A package adds one by an entry point in the group `skillos.gates`: short = "short:KIND".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine.core.parts import PartKind
from engine.core.registry import Registry, UnknownPart


class GateKind(PartKind, frozen=True, kw_only=True):
    """A gate. Its settings are the section of the configuration that has its name (`Config.settings_of`).

    `open(context)` takes an `engine.review.gates.base.GateContext` and gives the `Gate`. `measures`: it may give scores; the
    policy `gate` approves only what has one.
    """

    open: Callable[[Any], Any]
    measures: bool = True


GATES = Registry(
    "gate",
    "skillos.gates",
    GateKind,
    {"format": "engine.review.gates.format_kind:KIND", "audit": "engine.review.gates.audit_kind:KIND"},
)


def none_measures(names: Iterable[str]) -> bool:
    """Whether none of these gates gives scores, so that the policy `gate` would approve nothing; one that is not installed
    may give some."""
    for name in names:
        try:
            if GATES.load(name).measures:
                return False
        except UnknownPart:
            return False
    return True
