"""What a verification found: how much was checked, what could not be, and what differs.

checks = Checks()
checks.compare(stored.id, "step 1", "steps", {"measured": 4}, {"measured": 3})
checks.skip("tokens", "the tokenizer cannot be loaded")
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

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

    `differences` are those anywhere in the log, also in events that a resume undid.
    """

    checked: dict[str, int]
    unchecked: dict[str, dict[str, int]]
    differences: list[Difference]


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


def report_of(standing: Iterable[Checks], all_differences: Iterable[Difference]) -> Report:
    """The sums over the parts that were not undone."""
    checked: Counter[str] = Counter()
    unchecked: dict[str, dict[str, int]] = {}
    for checks in standing:
        checked += checks.checked
        for (kind, reason), count in checks.unchecked.items():
            reasons = unchecked.setdefault(kind, {})
            reasons[reason] = reasons.get(reason, 0) + count
    return Report(dict(checked), unchecked, sorted(all_differences, key=lambda found: found.event))


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
