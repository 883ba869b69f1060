"""Find paths outside the skill's folder, in links, commands and prose.

A link out of the folder breaks when the skill is copied, so it is a `warning`. A path in a command or a sentence is `info`,
because a skill about Linux names `/etc` and a skill about code names `../src`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from engine.core.findings import Finding, Severity, bounded, quoted
from engine.skills.audit.reading import Reading

_LINK = re.compile(r"\]\([ ]?<?([^)\s>]{1,400})")
_CLIMB = re.compile(r"\.\./[^\s`'\")\]>]{0,200}")
_ROOT = re.compile(
    r"/(?:etc|usr|var|home|root|opt|srv|mnt|boot|proc|sys|Users|Library|Volumes|Applications)/[^\s`'\")\]>]{1,200}"
)
_HOME = re.compile(r"~/[^\s`'\")\]>]{1,200}")
_DRIVE = re.compile(r":\\[^\s`'\")\]>]{1,200}")


_JOINED = tuple("._/:~$}-")
"""Characters before a slash that continues a longer path or an address."""


def findings(reading: Reading) -> Iterator[Finding]:
    """The paths out of the folder."""
    yield from bounded(_links(reading))
    yield from bounded(_mentions(reading))


def _links(reading: Reading) -> Iterator[Finding]:
    for match in _LINK.finditer(reading.text):
        severity = _severity(match[1])
        if severity:
            line = reading.line(reading.text, match.start())
            yield Finding("outside-path", severity, line, f"links out of the skill's folder: {quoted(match[1])}")


def _severity(target: str) -> Severity | None:
    """The severity of a link to `target`; None for a target inside the folder or on the web."""
    if target.lower().startswith("file:"):
        return "warning"
    if target.startswith(("/", "~")) and not target.startswith("//"):
        return "info"
    if re.match(r"[a-z][a-z0-9+.-]*:|//|#", target, re.IGNORECASE):
        return None
    return "warning" if posixpath.normpath(target.partition("#")[0]).startswith("..") else None


def _mentions(reading: Reading) -> Iterator[Finding]:
    text = reading.text
    for pattern in (_CLIMB, _ROOT, _HOME, _DRIVE):
        for match in pattern.finditer(text):
            before = text[match.start() - 1 : match.start()]
            if before.isalpha() if pattern is _DRIVE else not (before.isalnum() or before in _JOINED):
                yield Finding(
                    "outside-path",
                    "info",
                    reading.line(text, match.start()),
                    f"names a path outside the skill: {quoted(match[0])}",
                )
