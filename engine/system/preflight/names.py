"""The names of the preflight's checks, by which a failing one can be overridden."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from engine.core.records import Check

NAMES = (
    "settings",
    "memory",
    "disk",
    "clock",
    "tasks",
    "models",
    "adapters",
    "template",
    "executor",
    "curator",
    "judge",
    "success-judge",
    "context",
    "time",
)
"""Every name, in the order of the report."""


def blocking(checks: Iterable[Check], overridden: Collection[str]) -> list[Check]:
    """The failing checks that nobody has overridden: with any of them no run is made."""
    return [check for check in checks if check.status == "fail" and check.name not in overridden]
