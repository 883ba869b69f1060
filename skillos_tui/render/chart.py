"""Small charts in characters: a curve in braille dots, a row of bars. Values that are None leave a gap.

A repaint of a chart of plotext is 66 kB, one of Textual's `Sparkline` 36 kB: too much for a slow line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot of a braille character, by row and column."""
_BARS = "▁▂▃▄▅▆▇█"

Values = Sequence[float | None]


def bounds(values: Values, *, least: float) -> tuple[float, float]:
    """A lower and an upper bound around the measured values, at least `least` apart and on multiples of 0.05."""
    known = [value for value in values if value is not None]
    if not known:
        return 0.0, least
    low, high = min(known), max(known)
    spare = max(0.0, least - (high - low)) / 2
    grid = 0.05
    low, high = (low - spare) // grid * grid, -(-(high + spare) // grid) * grid
    return (0.0, high - low) if low < 0 <= min(known) else (low, high)


def braille(values: Values, total: int, width: int, height: int, low: float, high: float) -> list[str]:
    """A curve through `values`, the first of `total` to come: `height` rows of `width` characters, 2 by 4 dots each.

    Values that fall on one dot column are averaged; a value that is None breaks the line.
    """
    cells = [[0] * width for _ in range(height)]
    last: tuple[int, int] | None = None
    for column, value in _columns(values, total, width * 2):
        here = None if value is None else (column, _level(value, height * 4, low, high))
        for x, y in between(last, here):
            row = height * 4 - 1 - y
            cells[row // 4][x // 2] |= DOTS[row % 4][x % 2]
        last = here
    return ["".join(chr(0x2800 + cell) if cell else " " for cell in row) for row in cells]


def bars(values: Values, total: int, width: int, low: float, high: float) -> str:
    """The same values as one row of bars, one to eight eighths high; a value that is None is a dot at the foot."""
    found = dict.fromkeys(range(width), " ")
    for column, value in _columns(values, total, width):
        found[column] = "·" if value is None else _BARS[_level(value, 8, low, high)]
    return "".join(found.values())


def bars_over(points: Mapping[int, float | None], steps: range, width: int, low: float, high: float) -> str:
    """Bars of values by step, each at the place of its step among `steps`, so that the bars of several runs can be
    compared. A column without a step is blank, one without a measured value has a dot."""
    places: dict[int, list[float | None]] = {}
    for step, value in sorted(points.items()):
        places.setdefault(round((step - steps.start) * (width - 1) / max(1, len(steps) - 1)), []).append(value)
    found = dict.fromkeys(range(width), " ")
    for column, values in places.items():
        known = [value for value in values if value is not None]
        found[column] = _BARS[_level(sum(known) / len(known), 8, low, high)] if known else "·"
    return "".join(found.values())


def _level(value: float, levels: int, low: float, high: float) -> int:
    share = (value - low) / (high - low) if high > low else 0.0
    return round(max(0.0, min(1.0, share)) * (levels - 1))


def _columns(values: Values, total: int, columns: int) -> list[tuple[int, float | None]]:
    """Each value's column, with the mean of the measured ones where several fall on the same."""

    places = range(max(1, total))
    together: list[tuple[int, float | None]] = []
    first = 0
    while first < len(values):
        column = dot_of(first, places, columns)
        end = behind(range(len(values)), column, places, columns, first, len(values))
        found = [value for value in values[first:end] if value is not None]
        together.append((column, sum(found) / len(found) if found else None))
        first = end
    return together


def dot_of(place: int, places: range, dots: int) -> int:
    """The dot, of so many, of one of these places."""
    return round((place - places.start) * (dots - 1) / max(1, len(places) - 1))


def behind(known: Sequence[int], dot: int, places: range, dots: int, first: int, end: int) -> int:
    """Where in `known`, places in their order, those behind a dot begin; between `first`, which is on the dot, and `end`."""
    last = places.start + int((dot + 0.5) * (len(places) - 1) / max(1, dots - 1))
    at = max(first + 1, bisect_right(known, last, first, end))  # one more or less, as numbers are rounded
    while at > first + 1 and dot_of(known[at - 1], places, dots) > dot:
        at -= 1
    while at < end and dot_of(known[at], places, dots) <= dot:
        at += 1
    return at


def between(start: tuple[int, int] | None, end: tuple[int, int] | None) -> list[tuple[int, int]]:
    """The dots of a straight line, its end included; only the end where there is no start."""
    if start is None or end is None:
        return [end] if end else []
    (x0, y0), (x1, y1) = start, end
    steps = max(abs(x1 - x0), abs(y1 - y0), 1)
    return [(x0 + round((x1 - x0) * at / steps), y0 + round((y1 - y0) * at / steps)) for at in range(1, steps + 1)]
