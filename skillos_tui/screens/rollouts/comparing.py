"""Two rollouts side by side, turn by turn: `partial(side_by_side, compared)` is a document for a width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len

from engine.core.events import TurnTaken
from engine.core.position import Spot, spot_of
from engine.runs.rollouts.lines import Document, Text, sign
from engine.runs.rollouts.records import PositionRecord
from skillos_tui.client.rollouts import Compared
from skillos_tui.render.text import Line, Spans, clip, safe, wrap

MAX_TEXT = 600
"""Characters of an observation that are shown here; the record of the turn has all of it."""
SAME, OTHER = (" │ ", "axis"), (" ≠ ", "warn")

Cell = Sequence[tuple[str, str]]
"""Lines of one side, each (text, style)."""


def place_of(compared: Compared) -> str:
    """The comparison as a place: "3/g0/r1|3/g0/r2"."""
    return f"{compared.a.text}|{compared.b.text}"


def pair_of(at: str) -> tuple[Spot, Spot] | None:
    """The two rollouts of the place of a comparison; None for any other place."""
    first, _, second = at.partition("|")
    a, b = spot_of(first), spot_of(second)
    return (a, b) if a is not None and b is not None else None


def side_by_side(compared: Compared, width: int) -> Document:
    """The positions of both rollouts beside each other; ≠ is between two turns whose actions differ."""
    half = max(8, (width - 3) // 2)
    lines = list(_beside([(compared.a.text, "strong")], [(compared.b.text, "strong")], half, SAME))
    for number in sorted({*compared.left, *compared.right}):
        left, right = compared.left.get(number), compared.right.get(number)
        lines.append(Text(()))
        lines += _beside(_head(number, left), _head(number, right), half, SAME, _leads(compared.b, right))
        turns = zip_longest(left.turns if left else [], right.turns if right else [])
        for at, (a, b) in enumerate(turns):
            same = a is not None and b is not None and a.action == b.action
            rollout = compared.a if a is not None else compared.b
            lead = Spot(*_parts(rollout), number, at).text
            lines += _beside(_turn(a), _turn(b), half, SAME if same else OTHER, f"rollouts:{lead}")
        lines += _beside(_decision(left), _decision(right), half, SAME)
    if not compared.left and not compared.right:
        lines.append(Text((("Neither of them has been played yet.", "muted"),)))
    return lines


def _parts(spot: Spot) -> tuple[int, bool, int | None, int | None]:
    return spot.step, spot.held_out, spot.group, spot.rollout


def _leads(spot: Spot, record: PositionRecord | None) -> str:
    return f"rollouts:{Spot(*_parts(spot), record.started.at.position).text}" if record else ""


def _head(number: int, record: PositionRecord | None) -> Cell:
    if record is None:
        return [(f"position {number}: not played", "muted")]
    mark, style = sign(record.ended.outcome if record.ended else None)
    skills = ", ".join(skill.name for skill in record.started.skills) or "none"
    return [(f"position {number} {mark} {clip(record.started.prompt, 120)}", style), (f"  skills: {skills}", "accent")]


def _turn(turn: TurnTaken | None) -> Cell:
    if turn is None:
        return [("    –", "muted")]
    invalid = "  (invalid)" if turn.invalid_action else ""
    seen = [(f"    {row}", "muted") for row in clip(turn.observation, MAX_TEXT).split("\n")]
    return [(f"{turn.turn:>3} {clip(turn.action, MAX_TEXT)}{invalid}", "action"), *seen]


def _decision(record: PositionRecord | None) -> Cell:
    made = record.curation if record else None
    if made is None:
        return [("  no decision", "muted")]
    return [(f"  curator: {call.operation} {call.skill} {call.verdict}", "thought") for call in made.calls] or [
        ("  curator: no call", "muted")
    ]


def _beside(left: Cell, right: Cell, half: int, middle: tuple[str, str], leads: str = "") -> Iterator[Text]:
    """The rows of two cells beside each other; the first row has the sign between them, and leads."""
    rows = zip_longest(_rows(left, half), _rows(right, half), fillvalue=())
    for number, (a, b) in enumerate(rows):
        used = sum(cell_len(text) for text, _ in a)
        between = middle if number == 0 else SAME
        yield Text((*a, (" " * max(0, half - used), ""), between, *b), 0, leads if number == 0 else "")


def _rows(cell: Cell, width: int) -> list[Spans]:
    return [row for text, style in cell for row in wrap(Line(((safe(text), style),), 4), width)]
