"""The difference of two texts as lines to show: every line of both, unless `context` limits them.

difference(before, after)                  # the whole file, for a decision
difference(before, after, context=2)       # the changes with two lines around them, for a glance
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise

from skillos_tui.render.text import Line, safe

MAX_WORK = 200_000
"""The most work for matching lines that occur several times; beyond it all old lines are removed and all new ones added, so
that no text can block the workbench."""
MAX_DEPTH = 20

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
    """Lines by line feeds only: any other line separator is shown as a character."""
    if not text:
        return []
    lines = text.split("\n")
    if lines[-1]:
        return [*lines[:-1], lines[-1] + " ⏎ missing at the end"]
    return lines[:-1]


def _rows(old: Sequence[str], new: Sequence[str], depth: int = 0) -> Iterator[Row]:
    """The rows of a patience diff: the equal lines at both ends, then between lines that occur once in each text."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    yield from ((" ", text) for text in old[:head])
    yield from _middle(old[head : len(old) - tail], new[head : len(new) - tail], depth)
    yield from ((" ", text) for text in old[len(old) - tail :])


def _middle(old: Sequence[str], new: Sequence[str], depth: int) -> Iterator[Row]:
    anchors = _anchors(old, new) if depth < MAX_DEPTH else []
    if anchors:
        ends = [*anchors, (len(old), len(new))]
        for (a, b), (c, d) in pairwise([(-1, -1), *ends]):
            yield from _rows(old[a + 1 : c], new[b + 1 : d], depth + 1)
            yield from ((" ", text) for text in old[c : c + 1])
    elif _work(old, new) <= MAX_WORK:
        yield from _compared(old, new)
    else:
        yield from (("-", text) for text in old)
        yield from (("+", text) for text in new)


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """The positions of lines that occur once in each text: the longest sequence that is in order in both."""
    count, others = Counter(old), Counter(new)
    place = {text: at for at, text in enumerate(new) if others[text] == 1}
    pairs = [(at, place[text]) for at, text in enumerate(old) if count[text] == 1 and text in place]
    tops: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for index, (_, at) in enumerate(pairs):
        pile = bisect_left(tops, at)
        before.append(last[pile - 1] if pile else -1)
        tops[pile : pile + 1], last[pile : pile + 1] = [at], [index]
    chain: list[tuple[int, int]] = []
    index = last[-1] if last else -1
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]


def _work(old: Sequence[str], new: Sequence[str]) -> int:
    """An estimate of the cost of comparing line by line: equal pairs, times the shorter text."""
    others = Counter(new)
    return sum(others[text] for text in old) * min(len(old), len(new))


def _compared(old: Sequence[str], new: Sequence[str]) -> Iterator[Row]:
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
