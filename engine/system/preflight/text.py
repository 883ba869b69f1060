"""The preflight's checks as text, for any width of terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence

from engine.core.records import Check
from engine.core.text import counted, printable
from engine.system.preflight.names import blocking

LABEL = 14
MARKS = {"pass": "✓", "warn": "!", "fail": "✗"}
NARROW = 40


def lines(check: Check, width: int) -> list[str]:
    """One check: mark, name and message; what does not fit continues on indented lines."""
    head = f"{MARKS[check.status]} {check.name:<{LABEL}}"
    message = printable(check.message)
    if width < NARROW:
        return [head.rstrip(), *textwrap.wrap(message, max(8, width - 2), initial_indent="  ", subsequent_indent="  ")]
    indent = " " * len(head)
    return textwrap.wrap(message, width, initial_indent=head, subsequent_indent=indent) or [head.rstrip()]


def verdict(checks: Sequence[Check], overridden: Collection[str] = ()) -> str:
    """The end of the report: how many checks passed, and how a failing one is overridden."""
    by_status = {status: [check for check in checks if check.status == status] for status in MARKS}
    passed, warned, failed = (len(each) for each in by_status.values())
    seconds = sum(check.seconds for check in checks)
    counts = f"{passed} passed, {counted(warned, 'warning')}, {failed} failed in {seconds:.1f} s"
    stops = blocking(checks, overridden)
    if not stops:
        let = [check.name for check in by_status["fail"]]
        return f"preflight: {counts}{'; overridden: ' + ', '.join(let) if let else ''}"
    flags = " ".join(f"--override {check.name}" for check in stops)
    return f"preflight: {counts}; no run is made. Mend what failed, or start it all the same with {flags}"
