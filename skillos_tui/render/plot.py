"""A chart of several curves in characters: braille dots, a sign for each curve, axes with labels, and a cursor.

    ticks = scale([0.21, 0.48], rows=10)
    rows = plot([Series("r_task", {1: 0.21, 2: None, 3: 0.48})], range(1, 4), ticks, width=60, height=10, cursor=3)

Each curve has a style and a sign at some of its points, so that curves are told apart without colours. A value that was not
measured leaves a gap.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from skillos_tui.render.chart import DOTS, behind, between, dot_of
from skillos_tui.render.text import Line, Spans

SIGNS = "●▲■◆✚○"
"""The signs of the curves of a chart, in their order; their styles are series1 to series6."""
APART = 9
"""Columns between two signs of a curve."""
HIGHEST = 1e150
"""Values from here on, which no run has, do not count for a scale."""
NEAR = 50.0
"""Curves of one unit share a scale unless one is so many times as high as another."""
LABELS_APART = 3
"""Rows or columns from one label of an axis to the next, beside the label itself."""


class Series(NamedTuple):
    """One curve: its label, and its value at each step at which it is due, None where it was not measured."""

    label: str
    points: Mapping[int, float | None]
    unit: str = ""


class Scale(NamedTuple):
    """The values at the bottom and at the top of a chart, and those that have a label. `decimals` is how many a label needs
    to differ from the next one; below 0 it can do without its last digits."""

    low: float
    high: float
    ticks: tuple[float, ...]
    decimals: int

    def label(self, value: float) -> str:
        """A value as a label of the axis: with all its decimals, or as a power of ten where that is shorter."""
        farthest = max(abs(self.low), abs(self.high))
        decimals = max(0, self.decimals)
        digits = max(0, math.floor(math.log10(farthest)) + self.decimals)
        plain = decimals <= 6 and farthest < 1e7
        if plain or len(f"{farthest:,.{decimals}f}") < len(f"{farthest:.{digits}e}"):
            return f"{value:,.{decimals}f}"
        return f"{value:.{digits}e}" if value else "0"

    @property
    def width(self) -> int:
        """The cells of the widest label."""
        return max(len(self.label(tick)) for tick in self.ticks)


def sign_of(number: int) -> str:
    """The sign of the curve of this number, from 0."""
    return SIGNS[number % len(SIGNS)]


def style_of(number: int) -> str:
    """The style of the curve of this number, from 0."""
    return f"series{number % len(SIGNS) + 1}"


def scale(values: Iterable[float | None], rows: int) -> Scale:
    """A scale for these values with round labels, as many as `rows` have room for."""
    known = [value for value in values if value is not None and abs(value) < HIGHEST]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1 / HIGHEST):
        spare = abs(high) * 0.1 or 0.5
        low, high = low - spare if low < 0 or low > spare else 0.0, high + spare
    step = _round_step((high - low) / max(1, min(8, rows // LABELS_APART)))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    places = 2 - math.floor(math.log10(step))
    ticks = tuple(round(number * step, places) for number in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks, _digits(step) - 1 - math.floor(math.log10(step) + 1e-9))


Bounds = tuple[float, float] | None
"""The least and the greatest measured value of a curve; None where nothing was measured."""


def bounds_of(series: Series, steps: range) -> Bounds:
    """The bounds of a curve at these steps."""
    points = series.points
    if points and steps and not (steps.start <= min(points) and max(points) < steps.stop):
        points = {step: value for step, value in points.items() if step in steps}
    known = [value for value in points.values() if value is not None and -HIGHEST < value < HIGHEST]
    return (min(known), max(known)) if known else None


def scales_of(series: Sequence[Series], bounds: Sequence[Bounds], rows: int) -> list[Scale]:
    """A scale for each curve: the same for all if they are of one unit and of similar height, else one of its own."""
    heights = [top for ends in bounds if ends is not None and (top := max(map(abs, ends)))]
    if len({each.unit for each in series}) == 1 and (not heights or max(heights) <= NEAR * min(heights)):
        return [scale([value for ends in bounds for value in ends or ()], rows)] * len(series)
    return [scale(ends or (), rows) for ends in bounds]


def _round_step(step: float) -> float:
    """The next step of 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * (1 - 1e-9))


def _digits(step: float) -> int:
    """How many digits a round step has that are not 0: 2 for 0.25, else 1."""
    return 2 if round(step / 10.0 ** math.floor(math.log10(step) + 1e-9), 6) == 2.5 else 1


def plot(
    series: Sequence[Series],
    steps: range,
    scales: Scale | Sequence[Scale],
    *,
    width: int,
    height: int,
    cursor: int | None = None,
) -> list[Spans]:
    """`height` rows of `width` cells: the curves over `steps`, with the cursor's column. `scales` is one for all curves, or
    one for each."""
    own = [scales] * len(series) if isinstance(scales, Scale) else list(scales)
    cells: list[list[tuple[int, str]]] = [[(0, "")] * width for _ in range(height)]
    signs: dict[tuple[int, int], tuple[str, str]] = {}
    for number in reversed(range(len(series))):  # the first curve is drawn last, over the others
        style = style_of(number)
        dots = list(_dots(series[number], steps, own[number], width, height))
        for x, y in _lines(dots):
            row = height * 4 - 1 - y
            bits, _ = cells[row // 4][x // 2]
            cells[row // 4][x // 2] = bits | DOTS[row % 4][x % 2], style
        for x, y in _signed(dots, number, len(series)):
            signs[(height * 4 - 1 - y) // 4, x // 2] = sign_of(number), style
    at = None if cursor is None or cursor not in steps else column_of(cursor, steps, width)
    return [_row(y, cells[y], signs, at) for y in range(height)]


def _row(
    y: int, cells: Sequence[tuple[int, str]], signs: Mapping[tuple[int, int], tuple[str, str]], at: int | None
) -> Spans:
    drawn = []
    for x, (bits, style) in enumerate(cells):
        if (y, x) in signs:
            drawn.append(signs[y, x])
        elif bits:
            drawn.append((chr(0x2800 + bits), style))
        else:
            drawn.append(("│", "accent") if x == at else (" ", ""))
    return tuple(
        ("".join(text for text, _ in group), style) for style, group in groupby(drawn, key=lambda cell: cell[1])
    )


def column_of(step: int, steps: range, width: int) -> int:
    """The column of a step."""
    return _dot_of(step, steps, width) // 2


def step_at(column: int, steps: range, width: int) -> int:
    """The step whose column is nearest to this one."""
    share = min(1.0, max(0.0, (column + 0.5) / max(1, width)))
    return steps.start + round(share * (len(steps) - 1))


def _dot_of(step: int, steps: range, width: int) -> int:
    """The dot of a step, of `width` times two; in the middle where there is no other step."""
    return dot_of(step, steps, width * 2) if len(steps) > 1 else width


def _dots(series: Series, steps: range, own: Scale, width: int, height: int) -> Iterable[tuple[int, int] | None]:
    """The dots of the measured steps from left to right, the mean where several fall on a column; None is a gap."""
    every = sorted(series.points)
    values = list(series.points.values()) if every == [*series.points] else [series.points[step] for step in every]
    at, end = bisect_left(every, steps.start), bisect_left(every, steps.stop)
    while at < end:
        x, first = _dot_of(every[at], steps, width), at
        at = behind(every, x, steps, width * 2, first, end)
        known = [value for value in values[first:at] if value is not None]
        if not known:
            yield None
            continue
        share = (math.fsum(known) / len(known) - own.low) / (own.high - own.low)
        yield x, round(max(0.0, min(1.0, share)) * (height * 4 - 1))


def _lines(dots: Sequence[tuple[int, int] | None]) -> Iterable[tuple[int, int]]:
    """All dots of the lines between neighbours."""
    last = None
    for here in dots:
        yield from between(last, here)
        last = here


def _signed(dots: Sequence[tuple[int, int] | None], number: int, count: int) -> Iterable[tuple[int, int]]:
    """The dots that get the sign of their curve: all where there are few, else some, at other columns than those of the
    other curves; and each dot without a neighbour."""
    known = [dot for dot in dots if dot is not None]
    few = len(known) < 2 or (known[-1][0] - known[0][0]) / len(known) >= APART
    wanted = number * 2 * APART // max(1, count)
    for at, dot in enumerate(dots):
        if dot is None:
            continue
        alone = (at == 0 or dots[at - 1] is None) and (at + 1 == len(dots) or dots[at + 1] is None)
        if few or alone or (count > 1 and dot[0] >= wanted):
            yield dot
        while dot[0] >= wanted:
            wanted += 2 * APART


def axis_labels(own: Scale, height: int) -> list[str]:
    """The label of each row, "" for most."""
    labels = [""] * height
    for tick in own.ticks:
        row = height - 1 - round((tick - own.low) / (own.high - own.low) * (height - 1))
        labels[row] = own.label(tick)
    return labels


def step_axis(steps: range, width: int, cursor: int | None) -> list[Line]:
    """The axis of the steps: a row of marks, and a row of their numbers with the cursor's in its place."""
    numbers = {steps.start, steps.stop - 1}
    marks = ["─"] * width
    text, taken = [(" ", "muted")] * width, [False] * width
    inside = cursor is not None and cursor in steps
    for step in [*([cursor] if inside and cursor is not None else []), *sorted(numbers), *_round_steps(steps, width)]:
        label = str(step)
        column = column_of(step, steps, width)
        start = max(0, min(width - len(label), column - len(label) // 2))
        if any(taken[max(0, start - 2) : start + len(label) + 2]):
            continue
        marks[column] = "┴"
        style = "cursor" if inside and step == cursor else "muted"
        for at, char in enumerate(label):
            text[start + at], taken[start + at] = (char, style), True
    spans = [("".join(char for char, _ in group), style) for style, group in groupby(text, key=lambda cell: cell[1])]
    return [Line((("".join(marks), "axis"),)), Line(tuple(spans))]


def _round_steps(steps: range, width: int) -> range:
    """Round numbers of steps, as many as have room."""
    label = len(str(steps.stop)) + LABELS_APART
    every = max(1, round(_round_step(max(1.0, len(steps) * label / max(1, width)))))
    return range(-(-steps.start // every) * every, steps.stop, every)
