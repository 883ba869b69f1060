"""What the doctor found, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.core.text import counted
from engine.system.doctor.base import Check

SIGNS = ("problem", "warning", "unmeasured", "ok")


def lines(checks: Sequence[Check]) -> list[str]:
    """Every check, then what is to be done, line by line."""
    return list(_lines(checks))


def _lines(checks: Sequence[Check]) -> Iterator[str]:
    for check in checks:
        found = f"unmeasured ({check.found})" if check.state == "unmeasured" else f"{check.state}: {check.found}"
        yield f"{check.name}: {found}"
    todo = [check for sign in SIGNS for check in checks if check.state == sign and check.advice]
    if todo:
        yield ""
        yield "what to do"
        yield from (f"  {check.advice}    # {check.name}" for check in todo)
    counts = [counted(sum(check.state == sign for check in checks), sign) for sign in SIGNS[:2]]
    yield ""
    yield ", ".join(counts) + f"; {sum(check.state == 'unmeasured' for check in checks)} unmeasured"
