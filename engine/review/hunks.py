"""The hunks of an edit: the runs of lines that it changes, and the text that takes only some of them.

    found = hunks(edit.before, edit.after)                    # [Hunk((2, 3), (2, 4)), …]: half-open ranges of lines, from 0
    text = taking(edit.before, edit.after, {0, 2})            # with the first and the third hunk only
    lines_of(text)                                            # what the ranges count: lines with their ends

Where there is no file before or after (an insertion, a deletion), the whole text is one hunk.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from engine.review.matching import changes


class Hunk(msgspec.Struct, frozen=True):
    """The lines `old` of the text before are replaced by the lines `new` of the text after; either can be empty."""

    old: tuple[int, int]
    new: tuple[int, int]


def lines_of(text: str | None) -> list[str]:
    """The lines of a text, each with its end; none of None. Only a line feed ends a line, as in an editor."""
    lines = (text or "").split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def hunks(before: str | None, after: str | None) -> list[Hunk]:
    """The runs of changed lines, from the top; none where the texts are equal."""
    if before == after:
        return []
    old, new = lines_of(before), lines_of(after)
    if before is None or after is None:
        return [Hunk((0, len(old)), (0, len(new)))]
    return [Hunk((a, b), (c, d)) for a, b, c, d in changes(old, new)]


def taking(before: str | None, after: str | None, taken: Collection[int]) -> str | None:
    """The text before with only the hunks of the numbers `taken`, which count from 0.

    It is `after` where all are taken, and `before` where none is. Raises `IndexError` for a number that no hunk has.
    """
    found = hunks(before, after)
    if wrong := sorted(number for number in taken if not 0 <= number < len(found)):
        raise IndexError(f"there is no hunk {wrong[0]}; the hunks are 0 to {len(found) - 1}")
    if len(set(taken)) == len(found):
        return after
    if not taken:
        return before
    old, new = lines_of(before), lines_of(after)
    made: list[str] = []
    end = 0
    for number, hunk in enumerate(found):
        made += old[end : hunk.old[0]]
        made += new[slice(*hunk.new)] if number in taken else old[slice(*hunk.old)]
        end = hunk.old[1]
    return "".join(made + old[end:])
