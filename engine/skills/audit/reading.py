"""The forms of a skill's text that the rules search: the text, its commands, its prose.

    reading = Reading(text)
    reading.commands          # lower case, look-alikes as ASCII, no hidden characters, continued lines joined
    reading.prose             # the same without Markdown emphasis and quotation marks
    reading.line(reading.commands, offset)

Every form keeps the line breaks, so that each offset has a line in the file. Characters are folded one by one, because
`unicodedata.normalize` takes quadratic time for long runs of combining marks.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from functools import cache, cached_property

CONTINUED = "\v"
"""Replaces a backslash and the line break after it, which join two lines of a command."""

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_CONTINUATION = re.compile(r"\\\r?\n")
_BLANKS = re.compile(r"[^\S\n\v]+")
_EMPHASIS = re.compile(r"[*_`~>\"'“”‘’«»]")
_UNSEEN = frozenset(("Cf", "Mn", "Me", "Co", "Cn", "Cs"))
_LOOKALIKES = dict(
    zip(
        "аеорсухіѕјһԁӏкмтнАВЕКМНОРСТУХІЅЈαορνικτυεΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɑɡ",
        "aeopcyxisjhdlkmthABEKMHOPCTYXISJaopviktueABEZHIKMNOPTYXiag",
        strict=True,
    )
)


class Reading:
    """One text and its forms. Each form is computed at its first use."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._breaks: dict[int, list[int]] = {}

    @cached_property
    def commands(self) -> str:
        """The text normalized as a tolerant shell would read it."""
        ascii_text = self.text if self.text.isascii() else _NOT_ASCII.sub(lambda match: _folded(match[0]), self.text)
        joined = _CONTINUATION.sub(CONTINUED, ascii_text.replace(CONTINUED, " "))
        return _BLANKS.sub(" ", joined.lower())

    @cached_property
    def prose(self) -> str:
        """The words without markup."""
        return _EMPHASIS.sub("", self.commands)

    @cached_property
    def low(self) -> str:
        """The text in lower case."""
        return self.text.lower()

    def line(self, form: str, offset: int) -> int:
        """The line, from 1, of an offset in `text` or in one of its forms."""
        breaks = self._breaks.get(id(form))
        if breaks is None:
            marks = "\n" if form is self.text or form is self.low else f"[\n{CONTINUED}]"
            breaks = self._breaks[id(form)] = [match.start() for match in re.finditer(marks, form)]
        return bisect_left(breaks, offset) + 1


@cache
def _folded(char: str) -> str:
    """The compatible or look-alike ASCII form of a character; "" for an invisible one."""
    kept = [part for part in unicodedata.normalize("NFKD", char) if unicodedata.category(part) not in _UNSEEN]
    return "".join(" " if part.isspace() else _LOOKALIKES.get(part, part) for part in kept)
