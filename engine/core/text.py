"""Make text of models, games and files safe to print on a terminal."""

from __future__ import annotations

import unicodedata


def printable(text: str, width: int | None = None) -> str:
    """`text` on one line, cut to `width` characters, with control and format characters as escapes.

    An escape has more characters than the one it replaces, so the result can be longer than `width`.
    """
    if width is not None and len(text) > width:
        text = text[: width - 1] + "…"
    return "".join(c if c == " " or not _hidden(c) else c.encode("unicode_escape").decode() for c in text)


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def counted(count: int, what: str) -> str:
    """`count` with its noun: "1 edit", "2 edits", "1,200 edits"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
