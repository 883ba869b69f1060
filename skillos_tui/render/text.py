"""Styled lines of text, and untrusted text of models and files made safe for a terminal.

    line("muted:step ", f"strong:{step}")            # a line of two spans; the part before the first colon is the style
    text_lines(observation, "muted")                 # lines of untrusted text

A span's style is a name that the theme defines (`themes/*.toml`). Markup is never parsed. Escape sequences, which a terminal
would execute, and bidirectional and zero-width characters, which a reader would not see, are replaced by something visible,
so that a diff cannot show less than the file has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from rich.cells import cell_len

MAX_MARKS = 2
"""The combining marks that one character may have; more would overlap the lines above."""

HALF_NAME = 4
"""Cells of the beginning, and of the end, that the shortest form of a run's name has."""

Spans = tuple[tuple[str, str], ...]
"""Pieces of one row, each (text, style name)."""


class Line(NamedTuple):
    """One logical line; `indent` is where its continuation starts when it is wrapped, in cells."""

    spans: Spans
    indent: int = 0


_RUN = re.compile(r"\d{8}-(?=\d{6}-)")
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_MARK = (
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0e31-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u20d0-\u20ff\ufe20-\ufe2f]"
)
_MARKS = re.compile(f"({_MARK}{{{MAX_MARKS}}}){_MARK}+")


def safe(text: str) -> str:
    """`text` as one line without control characters; invisible characters are replaced by visible ones.

    Tabs become spaces, other control characters their Unicode pictures (␛), and hidden, bidirectional, private and
    unassigned characters their code points (⟨202E⟩).
    """
    if text.isprintable() and (text.isascii() or not (_UNSEEN.search(text) or _MARKS.search(text))):
        return text
    text = _MARKS.sub(r"\1⟨…⟩", text.expandtabs(4))
    return text.translate({ord(char): _picture(char) for char in set(text) if is_hidden(char)})


def is_hidden(char: str) -> bool:
    """Whether a terminal would interpret this character instead of showing it, or a reader would not see it."""
    return not char.isprintable() or _UNSEEN.match(char) is not None


def _picture(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨{code:04X}⟩"


def line(*spans: str, indent: int = 0) -> Line:
    """A line of spans written "style:text"; the style may be empty, and text is made safe."""
    split = (span.partition(":") for span in spans)
    return Line(tuple((safe(text), style) for style, _, text in split if text), indent)


def text_lines(text: str, style: str = "", *, prefix: str = "", limit: int = 2000) -> list[Line]:
    """Untrusted `text` as safe lines, each after `prefix`; cut after `limit` characters, with a line that gives the rest."""
    cut = len(text) - limit
    shown = text[:limit] if cut > 0 else text
    lines = [Line(((prefix + safe(part), style),), len(prefix)) for part in shown.rstrip("\n").split("\n")]
    if cut > 0:
        lines.append(Line(((f"{prefix}… {cut:,} more characters", "muted"),), len(prefix)))
    return lines


def wrap(item: Line, width: int, *, words: bool = True) -> list[Spans]:
    """The rows of one line, none wider than `width` cells; with `words`, broken after spaces where there are any."""
    text = "".join(text for text, _ in item.spans)
    width = max(width, 4)
    if len(text) <= width and (text.isascii() or cell_len(text) <= width):
        return [item.spans]
    indent = min(item.indent, width // 2)
    first, *others = _split(item.spans, _breaks(text, width, indent, words))
    if not indent:
        return [first, *others]
    before = (" " * indent, item.spans[0][1])
    return [first, *((before, *row) for row in others)]


def _breaks(text: str, width: int, indent: int, words: bool) -> Iterator[int]:
    """The character offsets at which rows end."""
    sizes = None if text.isascii() else {char: cell_len(char) for char in set(text)}
    start, room = 0, width
    while (full := _full_at(text, start, room, sizes)) < len(text):
        space = text.rfind(" ", start, full) if words else -1
        start = space + 1 if space >= 0 and full - space < width // 2 else full
        yield start
        room = width - indent
    yield len(text)


def _full_at(text: str, start: int, room: int, sizes: Mapping[str, int] | None) -> int:
    """Where a row of `room` cells is full that begins at `start`; `sizes` are those of the characters, None for one each."""
    if sizes is None:
        return start + room
    used, end = sizes[text[start]], start + 1
    while end < len(text) and used + sizes[text[end]] <= room:
        used += sizes[text[end]]
        end += 1
    return end


def _split(spans: Spans, ends: Iterable[int]) -> list[Spans]:
    """The pieces of a row of spans that end at these characters; each span is looked at once for each piece that has a part
    of it."""
    pieces: list[Spans] = []
    number, begin, start = 0, 0, 0
    for end in ends:
        piece: list[tuple[str, str]] = []
        while number < len(spans) and begin < end:
            text, style = spans[number]
            piece.append((text[max(0, start - begin) : end - begin], style))
            if begin + len(text) > end:
                break
            begin += len(text)
            number += 1
        pieces.append(tuple(piece))
        start = end
    return pieces


def fit(text: str, width: int) -> str:
    """`text` (safe already) in exactly `width` cells: padded, or cut with an ellipsis."""
    size = cell_len(text)
    if size <= width:
        return text + " " * (width - size)
    kept, used = [], 0
    for char in text:
        used += cell_len(char)
        if used > width - 1:
            break
        kept.append(char)
    cut = "".join(kept) + "…" if width > 0 else ""
    return cut + " " * (width - cell_len(cut))


def crop(item: Line, width: int) -> Line:
    """The line cut to `width` cells, with an ellipsis if it is longer."""
    total = sum(cell_len(text) for text, _ in item.spans)
    if total <= width:
        return item
    kept: list[tuple[str, str]] = []
    used = 0
    for text, style in item.spans:
        cut = ""
        for char in text:
            used += cell_len(char)
            if used > width - 1:
                return Line((*kept, (cut + "…", style)))
            cut += char
        kept.append((cut, style))
    return Line(tuple(kept))


def clip(text: str, length: int) -> str:
    """`text` cut to `length` characters, with an ellipsis if it is longer."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def width_of(item: Line) -> int:
    """The width of the line in cells, if it is not wrapped."""
    return sum(cell_len(text) for text, _ in item.spans)


def widest(width: int, *items: Line) -> Line:
    """The first of `items` that fits into `width` cells; if none does, the last one, cut."""
    return next((item for item in items if width_of(item) <= width), crop(items[-1], width))


def short_name(run: str) -> str:
    """A run's name without the date that new runs have at their beginning: "101502-train-pocket-2"."""
    return _RUN.sub("", run, count=1) if _RUN.match(run) else run


def shortest_name(run: str) -> str:
    """What tells a run from others in few cells: of a new run the time of its start, with the number that runs of one second
    have ("101502", "101502-2"); of another name its beginning and its end ("base…ed-2")."""
    name, short = safe(run), short_name(safe(run))
    if short == name:
        return (
            name if cell_len(name) <= 2 * HALF_NAME + 1 else fit(name, HALF_NAME + 1)[:-1] + tail(name, HALF_NAME + 1)
        )
    time, *rest = short.split("-")
    return f"{time}-{rest[-1]}" if rest[-1].isdecimal() and len(rest[-1]) < HALF_NAME else time


def tail(text: str, width: int) -> str:
    """`text` (safe already) in exactly `width` cells: padded, or cut at its beginning with an ellipsis."""
    if cell_len(text) <= width:
        return fit(text, width)
    kept, used = "", 1
    for char in reversed(text):
        used += cell_len(char)
        if used > width:
            break
        kept = char + kept
    return fit(f"…{kept}" if width > 0 else "", width)


def short(count: int) -> str:
    """A count in at most six characters: "9,999", "12.3k", "4.5M"."""
    if count < 10_000:
        return f"{count:,}"
    thousands = count / 1000
    return f"{thousands:.1f}k" if thousands < 999.95 else f"{min(thousands / 1000, 9999.9):.1f}M"
