"""Find encoded content: text in base64, and long runs of base64 or hexadecimal digits."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from engine.core.findings import Finding, bounded, quoted
from engine.skills.audit import patterns
from engine.skills.audit.reading import Reading

MIN_BASE64 = 160
MIN_HEX = 160
MIN_LINES = 4
"""The number of consecutive lines of base64 from which on they are a blob."""

_RUN = re.compile(rf"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{{{MIN_BASE64},}}+")
_HEX = re.compile(rf"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{{2}}){{{MIN_HEX // 2},}}+")
_ESCAPES = re.compile(r"(?:\\x[0-9A-Fa-f]{2}){24,}+")
_LINES = re.compile(rf"(?:^[ \t]{{0,12}}[A-Za-z0-9+/]{{60,100}}\r?\n){{{MIN_LINES},}}+", re.MULTILINE)
_WORD = re.compile(r"(?<![\w+/=.-])[A-Za-z0-9+/_-]{24,}+={0,2}(?![\w+/.-])")
_IMAGE = re.compile(r"data:(?:image|font)/[\w.+-]{1,40};base64,\Z")


def findings(reading: Reading) -> Iterator[Finding]:
    """Texts in base64 (`danger` if a pattern finds danger in the decoded text), and blobs (`info` for an image)."""
    yield from bounded(_texts(reading))
    yield from bounded(_blobs(reading))


def _texts(reading: Reading) -> Iterator[Finding]:
    for match in _WORD.finditer(reading.text):
        text = _decoded(match[0])
        if text:
            dangerous = any(finding.severity == "danger" for finding in patterns.findings(Reading(text)))
            line = reading.line(reading.text, match.start())
            yield Finding("encoded-text", "danger" if dangerous else "warning", line, f"says in base64: {quoted(text)}")


def _decoded(word: str) -> str:
    """The text that a word encodes in base64, "" if it encodes no printable text."""
    digits = word.rstrip("=").replace("-", "+").replace("_", "/")
    if len(digits) % 4 == 1:
        return ""
    try:
        text = base64.b64decode(digits + "=" * (-len(digits) % 4)).decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return text if all(char.isprintable() or char in "\t\r\n" for char in text) else ""


def _blobs(reading: Reading) -> Iterator[Finding]:
    text = reading.text
    for pattern, kind in ((_HEX, "hexadecimal"), (_ESCAPES, "escaped bytes"), (_RUN, "base64"), (_LINES, "base64")):
        for match in pattern.finditer(text):
            if not _dense(match[0], kind):
                continue
            image = _IMAGE.search(text, max(0, match.start() - 60), match.start()) is not None
            message = f"{len(match[0]):,} characters of {kind} cannot be read"
            line = reading.line(text, match.start())
            yield Finding("encoded-blob", "info" if image else "warning", line, message)


def _dense(run: str, kind: str) -> bool:
    """Whether a run has the variety of encoded bytes, unlike a path, a line of dashes or a protein sequence."""
    chars = set(run[:2000])
    if kind != "base64":
        return len(chars) >= 8
    kinds = (any(c.isdigit() for c in chars), any(c.islower() for c in chars), any(c.isupper() for c in chars))
    return all(kinds) and len(chars) >= 24
