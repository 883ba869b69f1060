"""The names of a game's objects: ALFWorld's (`cabinet 2`) for the problem's (`cabinet_bar__plus_01…`).

An object's kind is its name up to the first `_bar_`; of each kind, the last in the order of the names has number 1. An
object that no fact mentions at the start takes no number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from engine.environments.alfworld.pddl.facts import Objects, Row

BAR = "_bar_"
SIGNS = {"_minus_": "-", "_plus_": "+", "_dot_": ".", "_comma_": ","}
ATTRIBUTES = ("id", "name", "type", "definite", "indefinite")


def name_entities(objects: Objects, initial: Sequence[set[Row]]) -> Mapping[str, Sequence[str]]:
    """The `ATTRIBUTES` that a grammar can use, each by object number."""
    mentioned = {number for rows in initial for row in rows for number in row}
    kinds = {number: _kind(objects.names[number]) for number in mentioned if BAR in objects.names[number]}
    left = Counter(kinds.values())
    names: list[str] = []
    for number, name in enumerate(objects.names):
        kind = kinds.get(number)
        if kind is not None:
            names.append(f"{kind} {left[kind]}")
            left[kind] -= 1
        else:
            names.append(f"{_signs(name.replace(BAR, '|'))} ")
    count = len(names)
    columns = (objects.names, tuple(names), objects.types, ("the",) * count, ("a",) * count)
    return dict(zip(ATTRIBUTES, columns, strict=True))


def _kind(name: str) -> str:
    """A basin is named after what it belongs to, with `basin` put behind."""
    return _signs(name.partition(BAR)[0]) + ("basin" if "basin" in name else "")


def _signs(text: str) -> str:
    if "_" in text:
        for written, meant in SIGNS.items():
            text = text.replace(written, meant)
    return text
