"""What the objects of a game are called: ALFWorld's names (`cabinet 2`) for the problem's (`cabinet_bar__plus_01…`).

An object's kind is its name up to the first `_bar_`; of each kind, the last in the order of the names has number 1. An
object that no fact mentions at the start takes no number.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from engine.environments.alfworld.facts import Layout

BAR = "_bar_"
SIGNS = {"_minus_": "-", "_plus_": "+", "_dot_": ".", "_comma_": ","}


@dataclass(frozen=True, slots=True)
class Entities:
    """What a grammar may say of an object, by object number."""

    id: list[str]
    name: list[str]
    type: list[str]
    definite: list[str]
    indefinite: list[str]


def name_entities(layout: Layout) -> Entities:
    """The names of all objects of a game."""
    ids = list(layout.objects)
    mentioned = {number for rows in layout.initial for row in rows for number in row}
    kinds = {number: _kind(ids[number]) for number in mentioned if BAR in ids[number]}
    left = Counter(kinds.values())
    names: list[str] = []
    for number, name in enumerate(ids):
        kind = kinds.get(number)
        if kind is not None:
            names.append(f"{kind} {left[kind]}")
            left[kind] -= 1
        else:
            names.append(f"{_signs(name.replace(BAR, '|'))} ")
    return Entities(ids, names, list(layout.types), ["the"] * len(ids), ["a"] * len(ids))


def _kind(name: str) -> str:
    """A basin is named after what it belongs to, with `basin` put behind."""
    return _signs(name.partition(BAR)[0]) + ("basin" if "basin" in name else "")


def _signs(text: str) -> str:
    for written, meant in SIGNS.items():
        text = text.replace(written, meant)
    return text
