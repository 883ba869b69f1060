"""Which lines of two texts are the same: a patience diff whose work is bounded, so that no text can block its caller.

changes(["a", "b"], ["a", "c"])            # [(1, 2, 1, 2)]: the lines old[1:2] are replaced by new[1:2]

Lines that occur once in each text are matched first; between them, the longest matching blocks (`difflib`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise

MAX_WORK = 200_000
"""The most work for matching lines that occur several times; beyond it all old lines are removed and all new ones added."""
MAX_DEPTH = 20

Block = tuple[int, int, int, int]
"""Half-open ranges of lines: old[a:b] is replaced by new[c:d]."""


def changes(old: Sequence[str], new: Sequence[str]) -> list[Block]:
    """The blocks that differ, from the top; blocks that touch are one."""
    joined: list[Block] = []
    for a, b, c, d in _blocks(old, new, 0, 0, 0):
        if joined and (joined[-1][1], joined[-1][3]) == (a, c):
            joined[-1] = (joined[-1][0], b, joined[-1][2], d)
        else:
            joined.append((a, b, c, d))
    return joined


def _blocks(old: Sequence[str], new: Sequence[str], at: int, to: int, depth: int) -> Iterator[Block]:
    """The blocks of two pieces that begin at line `at` of the old and line `to` of the new text."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    old, new = old[head : len(old) - tail], new[head : len(new) - tail]
    at, to = at + head, to + head
    if not old and not new:
        return
    anchors = _anchors(old, new) if depth < MAX_DEPTH else []
    if anchors:
        for (a, b), (c, d) in pairwise([(-1, -1), *anchors, (len(old), len(new))]):
            yield from _blocks(old[a + 1 : c], new[b + 1 : d], at + a + 1, to + b + 1, depth + 1)
    elif old and new and _work(old, new) <= MAX_WORK:
        for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag != "equal":
                yield at + a, at + b, to + c, to + d
    else:
        yield at, at + len(old), to, to + len(new)


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
