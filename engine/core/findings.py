"""What the checks of a skill find: one `Finding` a line of its file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

Severity = Literal["info", "warning", "danger", "error"]

MAX_FINDINGS = 20
"""Lines of one skill that one rule names; a text with more has said enough."""
MAX_QUOTED = 80


class Finding(msgspec.Struct, frozen=True):
    """Something in a skill's file that an author or a reviewer should know.

    The format finds an `error` (no edit may write such a file) or a `warning`. The audit finds a `danger` (it could harm
    whoever follows the skill), a `warning` (it needs a look) or an `info` (it is ordinary in many good skills). `rule` names
    the rule, `line` counts from 1 in the skill's file.
    """

    rule: str
    severity: Severity
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: line {self.line}: {self.rule}: {self.message}"


def bounded(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The first finding on each line, at most `MAX_FINDINGS`; what follows is not even looked for."""
    lines: set[int] = set()
    for finding in findings:
        if finding.line not in lines:
            lines.add(finding.line)
            yield finding
        if len(lines) == MAX_FINDINGS:
            return


def quoted(text: str) -> str:
    """A piece of a skill in quotes, on one line, clipped, with what cannot be seen written as escapes."""
    flat = " ".join(text[: 4 * MAX_QUOTED].split())
    cut = flat if len(flat) <= MAX_QUOTED else flat[: MAX_QUOTED - 1] + "…"
    return "«" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut) + "»"
