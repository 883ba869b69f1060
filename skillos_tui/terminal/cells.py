"""The cells of the screen, wanted and sent, so that only those that differ are sent.

    cells.put(update, color_system)       # a frame, as Textual's compositor makes it
    text = cells.changes(1500)            # about 1,500 bytes to write; "" when nothing differs
    cells.forget()                        # the terminal shows something else: all cells are sent again

A later frame replaces what has not been sent yet. The text after a wide character is placed by column, so that a terminal
with another idea of its width is wrong in that character only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.strip import Strip

Cell = tuple[str, str]
"""A character and the SGR parameters of its style. The cell to the right of a wide character has ""."""
Style = tuple[frozenset[str], str, str]
"""Attributes, foreground and background, as SGR parameters."""

CONTROL = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
"""Control characters, and those that change the direction of the text around them. Panes replace them by visible ones; a
field of Textual does not."""
UNKNOWN: Cell = ("", "?")
SAME_RUN = 6
"""Up to so many equal cells between two that differ are sent too: moving the cursor costs as many bytes."""
MOVE = 8
"""Bytes of a move of the cursor, about."""
MANY = 12
"""From so many pieces on, they are written style by style, if that is shorter."""
LEAST_ERASED = 16
"""From so many blank cells on, they are erased instead of written."""


class Cells:
    """The screen. Rows are counted from 0. `erases` is true if the terminal erases in the background's colour, `repeats` if
    it knows the sequence that repeats a character (REP)."""

    def __init__(self, *, erases: bool = True) -> None:
        self.erases, self.repeats = erases, False
        self.size = (0, 0)
        self.want: list[list[Cell]] = []
        self.shown: list[list[Cell]] = []
        self.differing: set[int] = set()
        self._from = 0

    def resize(self, width: int, height: int) -> None:
        """Change the size, in cells; the terminal's content is unknown afterwards."""
        self.size = (width, height)
        self.want = [[UNKNOWN] * width for _ in range(height)]
        self.forget()

    def forget(self) -> None:
        """Note that the terminal shows something else than what was sent."""
        width, height = self.size
        self.shown = [[UNKNOWN] * width for _ in range(height)]
        self.differing = set(range(height))

    def put(self, update: LayoutUpdate | ChopsUpdate, system: ColorSystem) -> None:
        """Apply a frame, or a part of one."""
        for y, x, strip in _strips(update):
            if 0 <= y < len(self.want):
                self._put_strip(self.want[y], x, strip, system)
                self.differing.add(y)

    def _put_strip(self, row: list[Cell], x: int, strip: Strip, system: ColorSystem) -> None:
        cells: list[Cell] = []
        for text, style, control in strip:
            if not control:
                cells += _cells(text, Strip.render_ansi(style, system) if style else "")
        if x < 0:
            cells, x = cells[-x:], 0
        cells = cells[: max(0, len(row) - x)]
        if not cells:
            return
        end = x + len(cells)
        if x > 0 and row[x][0] == "" and row[x] != UNKNOWN:
            row[x - 1] = (" ", row[x - 1][1])  # the right half of a wide character is overwritten
        if end < len(row) and row[end][0] == "" and row[end] != UNKNOWN:
            row[end] = (" ", row[end][1])
        row[x:end] = cells

    def changes(self, limit: int, *, from_top: bool = False) -> str:
        """The sequences that update whole rows of the terminal, about `limit` bytes of them; from the top, or from the row
        after the last ones."""
        pieces: list[Piece] = []
        size = 0
        height = len(self.want)
        start = 0 if from_top else self._from
        for y in sorted(self.differing, key=lambda y: (y - start) % max(1, height)):
            if size >= limit:
                break
            of_row = [piece for run in _runs(self.want[y], self.shown[y]) for piece in self._pieces(y, *run)]
            size += sum(len(piece.text.encode()) + MOVE for piece in of_row)
            pieces += of_row
            self.shown[y] = self.want[y][:]
            self.differing.discard(y)
            self._from = y + 1
        return _shortest(pieces)

    def _pieces(self, y: int, start: int, end: int) -> Iterator[Piece]:
        """The cells of a row from `start` to `end`, in pieces that one style writes."""
        least = LEAST_ERASED if self.erases else end - start + 1
        texts: list[str] = []
        style, blank, erased = "", True, False
        begin = column = start
        for (empty, own), group in groupby(self.want[y][start:end], key=lambda cell: (cell[0] == " ", cell[1])):
            chars = [char for char, _ in group]
            fits = own == style or (_blank(style) == own if empty else blank and _blank(own) == style)
            if texts and not fits:
                yield Piece(y, begin, style, blank, "".join(texts), -1 if erased else column)
                texts, begin, blank, erased = [], column, True, False
            if not texts or not (empty or style == own):
                style = own
            blank = blank and empty
            if erased:
                texts.append(f"\x1b[{column + 1}G")
            erased = empty and len(chars) >= least
            text = "".join(chars)
            if erased:
                texts.append(f"\x1b[{len(chars)}X")
            elif "" not in chars and len(text) == len(chars):
                texts.append(_SAME.sub(_repeated, text) if self.repeats else text)
            else:
                texts += _placed(chars, column)
            column += len(chars)
        if texts:
            yield Piece(y, begin, style, blank, "".join(texts), -1 if erased else column)


_SAME = re.compile(r"([^\x00-\x7f])\1{3,}|(.)\2{7,}")
"""A character so often that repeating it takes fewer bytes: a border takes 3 for each."""


def _repeated(same: re.Match[str]) -> str:
    return f"{same[0][0]}\x1b[{len(same[0]) - 1}b"


class Piece(NamedTuple):
    """Text of one style in a row. `blank`: it has blanks only, so that another style with the same background can write it.
    `end` is the column of the cursor after it, -1 where that is not behind it."""

    y: int
    x: int
    style: str
    blank: bool
    text: str
    end: int


def _shortest(pieces: Sequence[Piece]) -> str:
    """The sequences that write the pieces: row by row, or style by style where that is shorter. A change of the style takes
    up to 40 bytes, and moving the cursor 8."""
    rows = _written(pieces)
    if len(pieces) < MANY:
        return rows
    styles: dict[str, list[Piece]] = {piece.style: [] for piece in pieces if not piece.blank}
    writes = {_blank(style): style for style in styles}
    for piece in pieces:
        style = writes.get(piece.style, piece.style) if piece.blank else piece.style
        styles.setdefault(style, []).append(piece)
    grouped = _written([piece for of_style in styles.values() for piece in of_style])
    return min(rows, grouped, key=len)


def _written(pieces: Iterable[Piece]) -> str:
    """The sequences that write these pieces, one after another."""
    parts: list[str] = []
    style, row, column = "", -1, -1
    for piece in pieces:
        if piece.y != row:
            parts.append(f"\x1b[{piece.y + 1};{piece.x + 1}H")
        elif piece.x != column:
            parts.append(f"\x1b[{piece.x + 1}G")
        if piece.style != style and not (piece.blank and piece.style == _blank(style)):
            parts.append(_change(style, piece.style))
            style = piece.style
        parts.append(piece.text)
        row, column = piece.y, piece.end
    return "".join([*parts, "\x1b[0m"]) if parts else ""


def _placed(piece: list[str], column: int) -> Iterator[str]:
    """Characters of which some take several columns or code points: the text after those is placed by column."""
    exact = True
    for x, char in enumerate(piece, column + 1):
        if char:
            yield char if exact else f"\x1b[{x}G{char}"
            exact = len(char) == 1
        else:
            exact = False
    if not exact:
        yield f"\x1b[{column + len(piece) + 1}G"


@lru_cache(maxsize=4096)
def _change(before: str, after: str) -> str:
    if not after:
        return "\x1b[0m"
    old, new = _split(before), _split(after)
    off = {_OFF[code] for code in old[0] - new[0]}
    on = {code for code in new[0] if code not in old[0] or _OFF[code] in off}
    colours = (code for was, code in zip(old[1:], new[1:], strict=True) if was != code)
    codes = [*sorted(off), *sorted(on), *colours]
    return f"\x1b[{';'.join(codes)}m" if codes else ""


@lru_cache(maxsize=4096)
def _split(codes: str) -> Style:
    """SGR parameters, as Rich writes them, split into attributes, foreground and background."""
    attributes, foreground, background = set(), "39", "49"
    parts = iter(codes.split(";") if codes else ())
    for code in parts:
        if code in ("38", "48"):
            kind = next(parts)
            code = ";".join([code, kind, *(next(parts) for _ in range(3 if kind == "2" else 1))])
        if code.startswith("38") or code in _FOREGROUNDS:
            foreground = code
        elif code.startswith("48") or code in _BACKGROUNDS:
            background = code
        else:
            attributes.add(code)
    return frozenset(attributes), foreground, background


_OFF = {
    **dict.fromkeys(("1", "2"), "22"),
    **dict.fromkeys(("4", "21"), "24"),
    **dict.fromkeys(("5", "6"), "25"),
    **dict.fromkeys(("51", "52"), "54"),
    **{"3": "23", "7": "27", "8": "28", "9": "29", "53": "55"},
}
"""What turns off an attribute that Rich writes, and those that share its code."""
_FOREGROUNDS = frozenset(str(code) for code in (*range(30, 38), 39, *range(90, 98)))
_BACKGROUNDS = frozenset(str(code) for code in (*range(40, 48), 49, *range(100, 108)))


@lru_cache(maxsize=4096)
def _blank(style: str) -> str:
    """The part of a style that a blank shows: the background, and all of it if it has a line or is reversed."""
    attributes, _, background = _split(style)
    return style if attributes & _SEEN_IN_BLANKS else "" if background == "49" else background


_SEEN_IN_BLANKS = frozenset({"4", "7", "9", "21", "51", "52", "53"})


def _cells(text: str, style: str) -> list[Cell]:
    """One cell for each column that the text takes. Control characters take none, and are left out."""
    blank = (" ", _blank(style))
    if not text.isprintable():
        text = re.sub(CONTROL, "", text)
    if text.isascii():
        return [blank if char == " " else (char, style) for char in text]
    cells: list[Cell] = []
    for char in text:
        width = 1 if char.isascii() else cell_len(char)
        if width:
            cells += [blank if char == " " else (char, style), *[("", style)] * (width - 1)]
        else:
            place = next((at for at in range(len(cells) - 1, -1, -1) if cells[at][0]), None)
            if place is not None:  # a combining mark belongs to the cell of the character before it
                cells[place] = (cells[place][0] + char, style)
    wanted = cell_len(text)
    if len(cells) != wanted:  # characters that form one: Rich knows their width, and they stay together
        cells = [(text, style), *[("", style)] * (wanted - 1)] if wanted else []
    return cells


def _runs(want: list[Cell], shown: list[Cell]) -> Iterator[tuple[int, int]]:
    """Where the rows differ, in whole words, close runs joined; unknown cells are left out."""
    start, end = 0, -SAME_RUN - 1
    for x, cell in enumerate(want):
        if x < end or cell == shown[x] or cell == UNKNOWN:
            continue
        left, right = x, x + 1
        while left > 0 and _hang_together(want[left - 1], want[left]):
            left -= 1
        while right < len(want) and want[right] != shown[right] and want[right] != UNKNOWN:
            right += 1
        while right < len(want) and _hang_together(want[right - 1], want[right]):
            right += 1
        if left - end > SAME_RUN or UNKNOWN in want[end:left]:
            if end > 0:
                yield start, end
            start = left
        end = right
    if end > 0:
        yield start, end


def _hang_together(left: Cell, right: Cell) -> bool:
    """Whether two neighbours are sent together: the halves of a wide character, and the letters of a word."""
    if UNKNOWN in (left, right):
        return False
    return right[0] == "" or ((left[0] == "" or left[0].isalnum()) and right[0].isalnum())


def _strips(update: LayoutUpdate | ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    """The strips of a frame, each with its row and its first column."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in line:
                yield y, x, strip
                x += strip.cell_length
    else:
        yield from _chops(update)


def _chops(update: ChopsUpdate) -> Iterable[tuple[int, int, Strip]]:
    for y, left, right in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x <= right and end > left:
                yield y, x, strip if end <= right else strip.crop(0, min(end, right) - x)
