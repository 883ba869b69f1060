"""The findings of the checks of a skill. A finding is about one line of the skill's file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

Severity = Literal["info", "warning", "danger", "error"]

MAX_FINDINGS = 20
"""The maximum number of findings of one rule and severity in one skill."""
MAX_QUOTED = 80


class Finding(msgspec.Struct, frozen=True):
    """A problem, or something unusual, in a skill's file.

    Severities of the format check: `error` (an edit that writes such a file is refused) and `warning`. Severities of the
    audit: `danger` (the skill can harm its reader), `warning` (a reviewer should look at it) and `info` (common in good
    skills). `rule` is the name of the rule. `line` is the line in the skill's file, from 1.
    """

    rule: str
    severity: Severity
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: line {self.line}: {self.rule}: {self.message}"


def bounded(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The first finding of each severity on each line, at most `MAX_FINDINGS` of a severity.

    So no number of slight findings hides a severe one. Once there are `MAX_FINDINGS` of `danger`, `findings` is not consumed
    further.
    """
    lines: dict[Severity, set[int]] = {}
    for finding in findings:
        found = lines.setdefault(finding.severity, set())
        if finding.line not in found and len(found) < MAX_FINDINGS:
            found.add(finding.line)
            yield finding
        if len(lines.get("danger", ())) == MAX_FINDINGS:
            return


def quoted(text: str) -> str:
    """Text of a skill in quotes: on one line, clipped, with unprintable characters as escapes."""
    flat = " ".join(text[: 4 * MAX_QUOTED].split())
    cut = flat if len(flat) <= MAX_QUOTED else flat[: MAX_QUOTED - 1] + "…"
    return "«" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut) + "»"
