"""What can be wrong with a game: `FormatError` inside one text, `GamesError` for the player, with file and line."""

from __future__ import annotations

import re


class FormatError(ValueError):
    """A domain, problem or grammar that cannot be read. `tokens` are the words at fault, to find their line."""

    def __init__(self, what: str, tokens: tuple[str, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.tokens = tokens

    def line_in(self, text: str) -> int | None:
        """The line of `text`, from 1, where the words at fault stand next to each other; None where they do not."""
        if not self.tokens:
            return None
        found = re.search(r"[\s()]+".join(map(re.escape, self.tokens)), text, re.IGNORECASE)
        return text.count("\n", 0, found.start()) + 1 if found else None


class GamesError(Exception):
    """Games that cannot be found, read or played. The message names the file, the line, and what was expected."""
