"""What the faults benchmark found: one row for each kind of fault and command."""

from __future__ import annotations

import msgspec


class Row(msgspec.Struct, frozen=True):
    """`held` of `tried` injected faults left what the command had reported. `broken` has a line for each of the others.

    Where nothing could be tried, `unmeasured` says why.
    """

    fault: str
    tried: int
    held: int
    broken: list[str]
    unmeasured: str = ""


def row(fault: str, verdicts: list[tuple[str, str]]) -> Row:
    """A row of trials: what was injected, and what was wrong then ("" for nothing)."""
    broken = [f"{what}: {wrong}" for what, wrong in verdicts if wrong]
    return Row(fault, len(verdicts), len(verdicts) - len(broken), broken)


def unmeasured(fault: str, why: str) -> Row:
    """A row of nothing tried."""
    return Row(fault, 0, 0, [], why)
