"""What a verification found: how much was checked, what could not be, and what differs.

checks = Checks()
checks.compare(stored.id, "step 1", "steps", {"measured": 4}, {"measured": 3})
checks.skip("tokens", "the tokenizer cannot be loaded")
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import msgspec

MOST = 10_000
"""Differences that are kept; the others are counted."""
TOLERANCE = 1e-9
WIDTH = 120

Value = float | str | None
Values = Mapping[str, Value]


class Difference(msgspec.Struct, frozen=True):
    """A number or text of the log that its own events do not give; None is unmeasured, or absent on that side."""

    event: int
    where: str
    logged: Value
    recomputed: Value


class Report(msgspec.Struct, frozen=True):
    """`checked` counts, by kind, what was recomputed; `unchecked` what was not, by kind and reason.

    `differences` are those anywhere in the log, also in events that a resume undid, in the order of the events; `more` is
    how many there are beside the first `MOST`. `without_settings` counts the events from which nothing could be recomputed,
    by reason: the settings of their start cannot be read here.
    """

    checked: dict[str, int]
    unchecked: dict[str, dict[str, int]]
    differences: list[Difference]
    more: int = 0
    without_settings: dict[str, int] = {}


class Checks:
    """The checks of one part of a log."""

    def __init__(self) -> None:
        self.checked: Counter[str] = Counter()
        self.unchecked: Counter[tuple[str, str]] = Counter()
        self.differences: list[Difference] = []

    def compare(self, event: int, where: str, kind: str, logged: Values, again: Values, *, counts: int = 1) -> None:
        """Note the names under which the two sides differ or one has no value; it was `counts` checks."""
        self.checked[kind] += counts
        for name in sorted({*logged, *again}):
            old, new = logged.get(name), again.get(name)
            if name not in logged or name not in again or not _same(old, new):
                self.differences.append(Difference(event, f"{where} {name}", _clipped(old, new), _clipped(new, old)))

    def skip(self, kind: str, reason: str, *, counts: int = 1) -> None:
        """Note that a check was not possible."""
        self.unchecked[kind, reason] += counts


Counts = tuple[tuple[tuple[str, ...], int], ...]
"""What was checked ("steps",) and what was not ("tokens", "no tokenizer"), with how often."""


class Totals:
    """The sums over the parts of a log, each of which a resume may undo. A part that ended keeps nothing but counts."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, bool], Counts] = {}
        self._known: dict[Counts, Counts] = {}  # most parts have equal counts, which are then kept once
        self._differences: list[Difference] = []
        self._more = 0

    def add(self, part: tuple[int, bool], checks: Checks) -> None:
        """Add the checks of a part, to those that it has."""
        self.add_differences(checks)
        counts: Counter[tuple[str, ...]] = Counter(dict(self._parts.get(part, ())))
        counts.update({(kind,): count for kind, count in checks.checked.items()})
        counts.update(checks.unchecked)
        summed = tuple(sorted((+counts).items()))
        self._parts[part] = self._known.setdefault(summed, summed)

    def add_differences(self, checks: Checks) -> None:
        """Add the differences of a part that was begun again, or undone."""
        kept = checks.differences[: MOST - len(self._differences)]
        self._differences += kept
        self._more += len(checks.differences) - len(kept)

    def drop(self, part: tuple[int, bool]) -> None:
        """The part was begun again."""
        self._parts.pop(part, None)

    def undo(self, last: int) -> None:
        """A resume undid the steps after `last`."""
        self._parts = {part: counts for part, counts in self._parts.items() if part[0] <= last}

    def report(self, without_settings: dict[str, int]) -> Report:
        """The sums over the parts that were not undone."""
        checked: Counter[str] = Counter()
        unchecked: dict[str, dict[str, int]] = {}
        for counts, times in Counter(self._parts.values()).items():
            for (kind, *reason), count in counts:
                if reason:
                    reasons = unchecked.setdefault(kind, {})
                    reasons[reason[0]] = reasons.get(reason[0], 0) + count * times
                else:
                    checked[kind] += count * times
        differences = sorted(self._differences, key=lambda found: found.event)
        return Report(dict(checked), unchecked, differences, self._more, without_settings)


def _same(old: Value, new: Value) -> bool:
    if old is None or new is None or isinstance(old, str) or isinstance(new, str):
        return old == new
    return math.isclose(old, new, rel_tol=0, abs_tol=TOLERANCE)


def _clipped(value: Value, other: Value) -> Value:
    """A long text from shortly before the place where it parts from the other."""
    if not isinstance(value, str) or len(value) <= WIDTH:
        return value
    against = other if isinstance(other, str) else ""
    same = next(
        (i for i, (a, b) in enumerate(zip(value, against, strict=False)) if a != b), min(len(value), len(against))
    )
    start = max(0, same - WIDTH // 4)
    return ("…" if start else "") + value[start : start + WIDTH] + ("…" if start + WIDTH < len(value) else "")
