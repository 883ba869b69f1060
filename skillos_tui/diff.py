"""The difference of two texts as lines to show: every line of both, nothing left out unless asked.

difference(before, after)                  # the whole file, for a decision
difference(before, after, context=2)       # the changes with two lines around them, for a glance
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from skillos_tui.text import Line, safe

MAX_COMPARED = 4_000_000
"""Lines before times lines after, up to which matching lines are looked for; beyond, old lines go and new ones come."""

Row = tuple[str, str]
"""A sign (" ", "-", "+") and a line of text."""


def difference(before: str | None, after: str | None, *, context: int | None = None) -> list[Line]:
    """The lines that turn `before` into `after`, with signs; `context` limits the unchanged lines around
    changes; where there are none, all lines are shown.

    None stands for no file. Spaces at the end of a line, and a last line that does not end, are marked: they are
    differences too.
    """
    rows = list(_rows(_split(before), _split(after)))
    shown = rows if context is None else _near_changes(rows, context)
    return [_line(row) for row in shown]


def counts(before: str | None, after: str | None) -> tuple[int, int]:
    """How many lines are added and removed."""
    signs = [sign for sign, _ in _rows(_split(before), _split(after))]
    return signs.count("+"), signs.count("-")


def _split(text: str | None) -> list[str]:
    """Lines by line feeds only: whatever else might end a line is shown, not obeyed."""
    if not text:
        return []
    lines = text.split("\n")
    if lines[-1]:
        return [*lines[:-1], lines[-1] + " ⏎ missing at the end"]
    return lines[:-1]


def _rows(old: Sequence[str], new: Sequence[str]) -> Iterator[Row]:
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    yield from ((" ", text) for text in old[:head])
    yield from _middle(old[head : len(old) - tail], new[head : len(new) - tail])
    yield from ((" ", text) for text in old[len(old) - tail :])


def _middle(old: Sequence[str], new: Sequence[str]) -> Iterator[Row]:
    if len(old) * len(new) > MAX_COMPARED or not old or not new:
        yield from (("-", text) for text in old)
        yield from (("+", text) for text in new)
        return
    for operation, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if operation == "equal":
            yield from ((" ", text) for text in old[a:b])
        else:
            yield from (("-", text) for text in old[a:b])
            yield from (("+", text) for text in new[c:d])


def _near_changes(rows: list[Row], context: int) -> list[Row]:
    if all(sign == " " for sign, _ in rows):
        return rows
    keep: set[int] = set()
    for at, (sign, _) in enumerate(rows):
        if sign != " ":
            keep.update(range(at - context, at + context + 1))
    shown: list[Row] = []
    for at, row in enumerate(rows):
        if at in keep:
            shown.append(row)
        elif not shown or shown[-1][0] != "…":
            shown.append(("…", ""))
    return shown


def _line(row: Row) -> Line:
    sign, text = row
    if sign == "…":
        return Line((("…", "muted"),))
    style = {"+": "added", "-": "removed"}.get(sign, "")
    bare = text.rstrip(" ")
    return Line(((f"{sign} {safe(bare)}{'·' * (len(text) - len(bare))}", style),), 2)
