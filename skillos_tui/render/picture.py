"""A chart as a file: SVG, PNG or CSV.

    content = picture("chart.svg", "title", [Series("r_task", {1: 0.2})], range(1, 2))

The kind follows from the ending of the name. PNG is drawn by Pillow, which is imported when it is needed. Each curve has a
colour, a dash pattern and a sign. Curves of different units have a scale each, whose ends are beside their names. A value
that was not measured is a gap, and an empty field in CSV.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple
from xml.sax.saxutils import escape

from engine.core.errors import SkillosError
from skillos_tui.render.plot import LABELS_APART, Scale, Series, bounds_of, scale, scales_of
from skillos_tui.render.text import safe

WIDTH, HEIGHT = 960, 540
"""The size of a picture, in pixels."""
LEFT, RIGHT, TOP, BOTTOM = 80, 24, 48, 96
"""The margins around the axes, in pixels."""
SIZE = 14
"""The height of the text, in pixels."""
CHARACTER = 7.5
"""The width that most characters have at most, in pixels."""
NAMED = 3
"""How many curves are named in a row."""
INK, PALE = "#222222", "#d0d0d0"
COLOURS = ("#1f5fa8", "#2c7a3f", "#a8690f", "#7c3f8f", "#1e7a80", "#b03a36")
DASHES = ((), (8, 4), (2, 3), (10, 3, 2, 3), (5, 5), (12, 6))
"""Lengths of dashes and gaps in pixels, by curve."""
TICKS = 8
ENDINGS = (".png", ".svg", ".csv")

Point = tuple[float, float]


class CannotDraw(SkillosError):
    """A chart cannot be made into a file of this name."""


class Stroke(NamedTuple):
    """A line through points."""

    points: Sequence[Point]
    colour: str
    width: float = 1.0
    dash: Sequence[int] = ()


class Label(NamedTuple):
    """A text; `anchor` is start, middle or end, and `at` is its baseline."""

    at: Point
    text: str
    anchor: str = "start"
    colour: str = INK


class Sign(NamedTuple):
    """The sign of the curve of this number at a point."""

    at: Point
    number: int


Shape = Stroke | Label | Sign


def picture(name: str, title: str, series: Sequence[Series], steps: range) -> bytes:
    """The content of the file `name`. Raises `CannotDraw`."""
    ending = name[name.rfind(".") :].lower() if "." in name else ""
    if ending == ".csv":
        return table(series, steps).encode()
    if ending == ".svg":
        return svg(shapes(title, series, steps)).encode()
    if ending == ".png":
        return png(shapes(title, series, steps))
    raise CannotDraw(f"{name!r} has no ending of a kind of file that can be written: {', '.join(ENDINGS)}")


def table(series: Sequence[Series], steps: range) -> str:
    """A row a step, a column a curve; empty where the curve was not measured."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *(safe(each.label) for each in series)])
    for step in sorted({step for each in series for step in each.points if step in steps}):
        writer.writerow([step, *(each.points.get(step) for each in series)])
    return text.getvalue()


def shapes(title: str, series: Sequence[Series], steps: range) -> list[Shape]:
    """What the picture consists of: axes with labels, curves, and the names of the curves below."""
    scales = scales_of(series, [bounds_of(each, steps) for each in series], TICKS * LABELS_APART) or [scale([], 1)]
    alike = len(set(scales)) == 1
    found: list[Shape] = [Label((LEFT, TOP - 20), _short(safe(title), WIDTH - LEFT - RIGHT))]
    for tick in scales[0].ticks if alike else ():
        y = _y(tick, scales[0])
        found.append(Stroke([(LEFT, y), (WIDTH - RIGHT, y)], PALE))
        found.append(Label((LEFT - 8, y + SIZE / 3), scales[0].label(tick), "end"))
    every = max(1, len(steps) // 10)
    for step in steps[::every]:
        found.append(Label((_x(step, steps), HEIGHT - BOTTOM + SIZE + 8), str(step), "middle"))
    found.append(Label(((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 2 * SIZE + 12), "step", "middle"))
    found.append(Stroke([(LEFT, TOP), (LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, HEIGHT - BOTTOM)], INK))
    for number, each in reversed([*enumerate(series)]):
        found += _curve(number, each, steps, scales[number])
    room = (WIDTH - LEFT - RIGHT) / NAMED
    for number, each in enumerate(series):
        x, y = LEFT + number % NAMED * room, HEIGHT - 34.0 + number // NAMED * (SIZE + 8)
        own = scales[number]
        ends = "" if alike else f" ({own.label(own.low)} to {own.label(own.high)})"
        name = _short(safe(each.label), room - 24 - len(ends) * CHARACTER)
        found += [
            Sign((x, y - SIZE / 3), number),
            Label((x + 12, y), f"{name}{ends}", colour=_colour(number)),
        ]
    return found


def _short(text: str, width: float) -> str:
    """A text that fits into so many pixels: without its middle where it is too long, since names differ at their end."""
    most = max(3, int(width / CHARACTER))
    kept = (most - 1) // 2
    return text if len(text) <= most else f"{text[: most - 1 - kept]}…{text[-kept:]}"


def _curve(number: int, series: Series, steps: range, own: Scale) -> Iterator[Shape]:
    """A stroke for each row of measured steps, and signs along it."""
    part: list[Point] = []
    due = sorted(step for step in series.points if step in steps)
    spaced = max(1, len(due) // 12)
    for at, step in enumerate(due):
        value = series.points[step]
        if value is None:
            yield Stroke(part, _colour(number), 2, DASHES[number % len(DASHES)])
            part = []
            continue
        part.append((_x(step, steps), _y(value, own)))
        if at % spaced == number % spaced or len(part) == 1:
            yield Sign(part[-1], number)
    yield Stroke(part, _colour(number), 2, DASHES[number % len(DASHES)])


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _x(step: int, steps: range) -> float:
    share = (step - steps.start) / (len(steps) - 1) if len(steps) > 1 else 0.5
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(value: float, own: Scale) -> float:
    share = (value - own.low) / (own.high - own.low)
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def corners(number: int, at: Point, radius: float = 4.5) -> list[Point]:
    """The corners of a sign: a polygon around a point; a curve's number chooses its form."""
    x, y = at
    forms = (
        [
            (0.92, 0.38),
            (0.38, 0.92),
            (-0.38, 0.92),
            (-0.92, 0.38),
            (-0.92, -0.38),
            (-0.38, -0.92),
            (0.38, -0.92),
            (0.92, -0.38),
        ],
        [(0.0, -1.1), (1.0, 0.8), (-1.0, 0.8)],
        [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        [(0.0, -1.2), (1.2, 0.0), (0.0, 1.2), (-1.2, 0.0)],
        [(0.0, 1.1), (1.0, -0.8), (-1.0, -0.8)],
        [(-1.2, -0.4), (1.2, -0.4), (1.2, 0.4), (-1.2, 0.4)],
    )
    return [(x + dx * radius, y + dy * radius) for dx, dy in forms[number % len(forms)]]


def svg(found: Sequence[Shape]) -> str:
    """The shapes as SVG, which names no file and no font of elsewhere."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' font-family="sans-serif" font-size="{SIZE}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for shape in found:
        match shape:
            case Stroke(points, colour, width, dash) if len(points) > 1:
                dashes = f' stroke-dasharray="{",".join(map(str, dash))}"' if dash else ""
                lines.append(
                    f'<polyline points="{_joined(points)}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashes}/>'
                )
            case Label((x, y), text, anchor, colour):
                lines.append(
                    f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
                )
            case Sign(at, number):
                lines.append(f'<polygon points="{_joined(corners(number, at))}" fill="{_colour(number)}"/>')
    return "\n".join([*lines, "</svg>", ""])


def _joined(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def png(found: Sequence[Shape]) -> bytes:
    """The shapes as PNG. Raises `CannotDraw` where Pillow is missing."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise CannotDraw(
            f"PNG needs the package pillow ({error}): pip install pillow, or write .svg or .csv"
        ) from error
    twice = 2  # drawn twice as large and made smaller, since Pillow's lines have hard edges
    image = Image.new("RGB", (WIDTH * twice, HEIGHT * twice), "#ffffff")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(SIZE * twice)
    for shape in found:
        match shape:
            case Stroke(points, colour, width, dash):
                for piece in dashed(points, dash):
                    draw.line([(x * twice, y * twice) for x, y in piece], fill=colour, width=round(width * twice))
            case Label((x, y), text, anchor, colour):
                side = {"start": "ls", "middle": "ms", "end": "rs"}[anchor]
                draw.text((x * twice, y * twice), text, fill=colour, font=font, anchor=side)
            case Sign(at, number):
                polygon = [(x * twice, y * twice) for x, y in corners(number, at)]
                draw.polygon(polygon, fill=_colour(number))
    content = io.BytesIO()
    image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(content, "PNG")
    return content.getvalue()


def dashed(points: Sequence[Point], dash: Sequence[int]) -> Iterator[list[Point]]:
    """The pieces of a line through these points that a dash pattern leaves; all of it without one."""
    if not dash:
        if len(points) > 1:
            yield [*points]
        return
    drawn, left, at = True, float(dash[0]), 0
    for (x0, y0), (x1, y1) in pairwise(points):
        length, done = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 0.0
        while done < length:
            piece = min(left, length - done)
            if drawn:
                ends = (done / length, (done + piece) / length)
                yield [(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share) for share in ends]
            done, left = done + piece, left - piece
            if left <= 1e-9:
                at, drawn = (at + 1) % len(dash), not drawn
                left = float(dash[at])
