"""The outcome of one task: succeeded, failed, or unmeasured with the reason.

An outage, a time-out or an unreadable answer is not a failed task (`method.md`, lesson 1), so an outcome is not a boolean:
`bool(outcome)` raises. Check `outcome.measured` first, then compare with `SUCCEEDED` and `FAILED`.

    >>> unmeasured("the model server timed out after 60 s").measured
    False
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Outcome(msgspec.Struct, frozen=True):
    """One of three values. `reason` is set if and only if the outcome is unmeasured."""

    kind: Literal["succeeded", "failed", "unmeasured"]
    reason: str = ""

    @property
    def measured(self) -> bool:
        """Whether the task's result is known."""
        return self.kind != "unmeasured"

    def __bool__(self) -> bool:
        raise TypeError("an Outcome has three values; compare it with SUCCEEDED or FAILED, or check .measured")

    def __str__(self) -> str:
        return f"unmeasured ({self.reason})" if self.kind == "unmeasured" else self.kind


SUCCEEDED = Outcome("succeeded")
FAILED = Outcome("failed")


def unmeasured(reason: str) -> Outcome:
    """An unknown outcome, with the reason why it is unknown. Raises `ValueError` without a reason."""
    if not reason:
        raise ValueError("an unmeasured outcome needs its reason")
    return Outcome("unmeasured", reason)
