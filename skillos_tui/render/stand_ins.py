"""Stand-ins for the characters that a field of text cannot show; the text comes back from the field exactly as it was.

    stand_ins = StandIns(text)
    field = TextField(stand_ins.shown(text))       # "␛" for an escape character, "⠁" for one that reverses the direction
    text = stand_ins.written(field.text)
    stand_ins.legend                               # "␛ stands for 001B, ⠁ for 202E"

A field would send control characters to the terminal, which executes them, and would take some of them for line ends. Each
hidden character of the text gets one stand-in, which is one cell wide and which the text does not have. Line ends that are
all CRLF are kept as such; of line ends of several kinds, each carriage return is shown.
"""

from __future__ import annotations

from itertools import chain

from rich.cells import cell_len

from skillos_tui.render.text import is_hidden

POOL = (*range(0x2801, 0x2900), *range(0x1400, 0x1680), *range(0x2500, 0x2800))
"""The characters that stand-ins are taken from: patterns of dots, then letters and signs that skills hardly have."""
LOST = "\ufffd"
"""What stands for the characters for which no stand-in is left."""
MAX_NAMED = 6
"""How many stand-ins the legend names."""


class StandIns:
    """The stand-ins for one text, and for what is added to it."""

    def __init__(self, text: str) -> None:
        self.exact = True
        """Whether each hidden character has a stand-in of its own; else the text does not come back as it was."""
        self._crlf = "\r\n" in text and text.count("\r") == text.count("\n") == text.count("\r\n")
        self._shown: dict[int, str] = {}
        self._written: dict[int, str] = {}
        self._taken = set(text)
        self._pool = (char for char in map(chr, POOL) if char.isprintable() and cell_len(char) == 1)

    def shown(self, text: str) -> str:
        """The text for the field."""
        if self._crlf:
            text = text.replace("\r\n", "\n")
        for char in dict.fromkeys(text):
            if char not in "\n\t" and ord(char) not in self._shown and is_hidden(char):
                self._choose(char)
        return text.translate(self._shown)

    def written(self, text: str) -> str:
        """The text of the field, each stand-in replaced by its character."""
        text = text.translate(self._written)
        return text.replace("\n", "\r\n") if self._crlf else text

    @property
    def legend(self) -> str:
        """Which stand-in stands for which character; "" where there are none."""
        pairs = [f"{to} {'' if at else 'stands '}for {char:04X}" for at, (char, to) in enumerate(self._shown.items())]
        more = len(pairs) - MAX_NAMED
        return ", ".join(pairs[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")

    def _choose(self, char: str) -> None:
        picture = chr(0x2400 + ord(char)) if ord(char) < 0x20 else "\u2421" if char == "\x7f" else ""
        chosen = next((each for each in chain(picture, self._pool) if each not in self._taken), "")
        self.exact = self.exact and bool(chosen)
        self._shown[ord(char)] = chosen or LOST
        if chosen:
            self._taken.add(chosen)
            self._written[ord(chosen)] = char
