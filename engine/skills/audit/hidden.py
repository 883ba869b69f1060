"""Find characters that are invisible, or that display a line in another order than it is stored.

Emoji, flags and the joiners of scripts that need them are not reported; `tests.benchmarks.audit` counts false positives.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from engine.core.findings import Finding, Severity, bounded
from engine.skills.audit.reading import Reading

_FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{2,6}\U000e007f")
_TAGS = re.compile("[\U000e0000-\U000e007f]+")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_SELECTORS = re.compile(
    "[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}+|[\U000e0100-\U000e01ef]|(?<=[\x21-\x7e])[\ufe00-\ufe0e]"
)
_UNSEEN = re.compile(
    "(?<!\\A)\ufeff|[\u200b\u2060-\u2064\u206a-\u206f\u180e\u00ad\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]"
    "|(?<=[\x20-\x7e])[\u200c\u200d\u200e\u200f\u061c](?=[\x20-\x7e])"
)
_CANDIDATES = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2060-\u206f\u3164\ufeff\uffa0]"
)
_RETURN = re.compile("\r(?!\n)")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_MIXED = re.compile("[A-Za-z][\u0400-\u04ff]+[A-Za-z]|[\u0400-\u04ff][A-Za-z][\u0400-\u04ff]")


def findings(reading: Reading) -> Iterator[Finding]:
    """The hidden characters of the text."""
    text = reading.text
    if not text.isascii():
        bare = _FLAG.sub(lambda match: "." * len(match[0]), text)
        yield from _each(_TAGS, bare, reading, "unicode-tags", "danger", _tags)
        yield from _each(
            _BIDI, text, reading, "unicode-bidi", "danger", lambda m: f"changes the reading order: {_name(m)}"
        )
        yield from _each(_SELECTORS, text, reading, "unicode-selectors", "danger", _selectors)
        if _CANDIDATES.search(text):
            yield from _each(
                _UNSEEN, text, reading, "unicode-hidden", "warning", lambda m: f"cannot be seen: {_name(m)}"
            )
        yield from _each(_MIXED, text, reading, "unicode-mixed", "warning", _mixed)
    for pattern in (_CONTROLS, _RETURN):
        yield from _each(
            pattern, text, reading, "control-character", "warning", lambda m: f"is for machines: {_name(m)}"
        )


def _each(
    pattern: re.Pattern[str],
    text: str,
    reading: Reading,
    rule: str,
    severity: Severity,
    message: Callable[[re.Match[str]], str],
) -> Iterator[Finding]:
    return bounded(
        Finding(rule, severity, reading.line(reading.text, match.start()), message(match))
        for match in pattern.finditer(text)
    )


def _name(match: re.Match[str]) -> str:
    char = match[0][0]
    return f"U+{ord(char):04X} {unicodedata.name(char, 'control character').lower()}"


def _tags(match: re.Match[str]) -> str:
    """The message with the ASCII text that tag characters encode."""
    text = "".join(chr(ord(char) - 0xE0000) for char in match[0][:60] if 0x20 <= ord(char) - 0xE0000 < 0x7F)
    return f"{len(match[0])} invisible tag characters say {text!r}"


def _selectors(match: re.Match[str]) -> str:
    return f"{len(match[0])} variation selectors where none belongs can hide data: {_name(match)}"


def _mixed(match: re.Match[str]) -> str:
    return f"a word mixes Latin and Cyrillic letters that look alike: {match[0][:20]!a}"
