"""The difference of two texts as rows to show: every line of both, unless `context` limits them.

    found = Comparison(before, after)          # None for no file
    found.hunks, found.counts                  # what changes, and how many lines are added and removed
    found.rows()                               # one below the other: "-" lines, then "+" lines
    found.pairs()                              # side by side: old and new line of each row

A row only names its lines. `text_of` gives a line as it is shown; styles are in `skillos_tui.render.marks`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import NamedTuple

from engine.review.hunks import Hunk, hunks, lines_of
from skillos_tui.render.text import Line, safe

MISSING_END = " ⏎ missing at the end"


class Row(NamedTuple):
    """One row. `old` and `new` are numbers of lines from 0, None where the row has none; an unchanged row has both.

    `hunk` is the number of its hunk, None for an unchanged row. `gap`: unchanged lines are left out here.
    """

    old: int | None
    new: int | None
    hunk: int | None = None
    gap: bool = False


class Comparison:
    """Two texts, their lines and their hunks."""

    def __init__(self, before: str | None, after: str | None) -> None:
        self.before, self.after = before, after
        self.old, self.new = lines_of(before), lines_of(after)

    @cached_property
    def hunks(self) -> list[Hunk]:
        """What changes, from the top."""
        return hunks(self.before, self.after)

    @property
    def counts(self) -> tuple[int, int]:
        """How many lines are added and removed."""
        added = sum(hunk.new[1] - hunk.new[0] for hunk in self.hunks)
        return added, sum(hunk.old[1] - hunk.old[0] for hunk in self.hunks)

    def rows(self, context: int | None = None) -> list[Row]:
        """The rows one below the other; `context` limits the unchanged lines around changes."""
        return self._limited(list(self._unified()), context)

    def pairs(self) -> list[Row]:
        """The rows side by side: the lines of a hunk are paired from its top."""
        return list(self._paired())

    def unified(self, old: str, new: str, left: Collection[int] = ()) -> str:
        """A unified diff of the hunks that are not `left`, each without context; `old` and `new` are names of files."""
        head = ["/dev/null" if text is None else name for text, name in ((self.before, old), (self.after, new))]
        parts = [f"--- {head[0]}\n+++ {head[1]}\n"]
        for number, hunk in enumerate(self.hunks):
            if number not in left:
                parts.append(f"@@ -{_range(hunk.old)} +{_range(hunk.new)} @@\n")
                parts += [f"-{row}" for row in map(_ended, self.old[slice(*hunk.old)])]
                parts += [f"+{row}" for row in map(_ended, self.new[slice(*hunk.new)])]
        return "".join(parts)

    def _unified(self) -> Iterator[Row]:
        at = 0
        for number, hunk in enumerate(self.hunks):
            yield from self._same(at, hunk)
            yield from (Row(old, None, number) for old in range(*hunk.old))
            yield from (Row(None, new, number) for new in range(*hunk.new))
            at = hunk.old[1]
        yield from self._same(at, None)

    def _paired(self) -> Iterator[Row]:
        at = 0
        for number, hunk in enumerate(self.hunks):
            yield from self._same(at, hunk)
            for place in range(max(hunk.old[1] - hunk.old[0], hunk.new[1] - hunk.new[0])):
                old, new = hunk.old[0] + place, hunk.new[0] + place
                yield Row(old if old < hunk.old[1] else None, new if new < hunk.new[1] else None, number)
            at = hunk.old[1]
        yield from self._same(at, None)

    def _same(self, start: int, until: Hunk | None) -> Iterator[Row]:
        """The unchanged rows from line `start` of the old text to a hunk, or to the end."""
        end = until.old[0] if until else len(self.old)
        shift = (until.new[0] if until else len(self.new)) - end
        yield from (Row(at, at + shift) for at in range(start, end))

    @staticmethod
    def _limited(rows: list[Row], context: int | None) -> list[Row]:
        if context is None or all(row.hunk is None for row in rows):
            return rows
        keep: set[int] = set()
        for at, row in enumerate(rows):
            if row.hunk is not None:
                keep.update(range(at - context, at + context + 1))
        shown: list[Row] = []
        for at, row in enumerate(rows):
            if at in keep:
                shown.append(row)
            elif not shown or not shown[-1].gap:
                shown.append(Row(None, None, gap=True))
        return shown

    def partner(self, row: Row) -> tuple[str, str] | None:
        """The old and the new text of a changed line and of the line that it is compared with, word by word; None without
        one: the lines of a hunk are paired from its top."""
        if row.hunk is None:
            return None
        hunk = self.hunks[row.hunk]
        place = row.old - hunk.old[0] if row.old is not None else (row.new or 0) - hunk.new[0]
        old, new = hunk.old[0] + place, hunk.new[0] + place
        if old >= hunk.old[1] or new >= hunk.new[1]:
            return None
        return text_of(self.old[old]), text_of(self.new[new])


def text_of(row: str) -> str:
    """A line with its end as it is shown: safe, with spaces at its end and a missing end marked."""
    text = row[:-1] if row.endswith("\n") else f"{row}{MISSING_END}"
    bare = text.rstrip(" ")
    return safe(bare) + "·" * (len(text) - len(bare))


def _ended(row: str) -> str:
    return row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n"


def _range(lines: tuple[int, int]) -> str:
    """A half-open range of lines from 0, as unified diffs write it: the first line from 1, and the count."""
    start, end = lines
    return f"{start + (end > start)},{end - start}"


def difference(before: str | None, after: str | None, *, context: int | None = None) -> list[Line]:
    """The rows one below the other as plain lines, with signs; None stands for no file."""
    found = Comparison(before, after)
    return [_line(found, row) for row in found.rows(context)]


def counts(before: str | None, after: str | None) -> tuple[int, int]:
    """How many lines are added and removed."""
    return Comparison(before, after).counts


def _line(found: Comparison, row: Row) -> Line:
    if row.gap:
        return Line((("…", "muted"),))
    if row.new is None:
        return Line(((f"- {text_of(found.old[row.old or 0])}", "removed"),), 2)
    sign, style = ("+", "added") if row.old is None else (" ", "")
    return Line(((f"{sign} {text_of(found.new[row.new])}", style),), 2)
