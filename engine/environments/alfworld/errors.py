"""What can be wrong with a game: `FormatError` inside one text, `GamesError` for the player, with file and line."""

from __future__ import annotations

import re

from engine.core.errors import SkillosError
from engine.environments.base import TaskSourceError

MAX_MESSAGE = 600
MAX_WORD = 200


class FormatError(SkillosError, ValueError):
    """A domain, problem or grammar that cannot be read or played. `tokens` are the words at fault, to find their line."""

    def __init__(self, what: str, tokens: tuple[str, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.tokens = tokens

    def line_in(self, text: str) -> int | None:
        """The line of `text`, from 1, where the words at fault stand next to each other; None where they do not."""
        words = [word.lower() for token in self.tokens for word in re.split(r"[\s()]+", token) if word]
        if not words or max(map(len, words)) > MAX_WORD:
            return None
        text = text.lower()
        found = re.search(r"[\s()]++".join(map(re.escape, words)), text)
        return text.count("\n", 0, found.start()) + 1 if found else None


class GamesError(TaskSourceError):
    """Games that cannot be found, read or played. The message names the file, the line, and what was expected.

    It may quote the file, so it is cut to `MAX_MESSAGE` characters, and what a terminal would obey is escaped.
    """

    def __init__(self, message: str) -> None:
        shown = message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in shown))


class NotOffered(GamesError):
    """A game that is not broken, but that the official player leaves out as well."""
