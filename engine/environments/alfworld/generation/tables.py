"""The data of synthetic houses and task sentences (`house.toml`), read once."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TypeAlias

import msgspec

Range: TypeAlias = tuple[int, int]
SWITCHED = "use"
POSSIBLE = MappingProxyType(
    {"clean": "cleanable", "heat": "heatable", "cool": "coolable", "slice": "sliceable", SWITCHED: "toggleable"}
)


class Room(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A type of room. `always`: receptacles of every such room; `more`: the maximum number of others, by type.

    `receptacles` and `things` are the minimum and maximum totals, by size.
    """

    always: tuple[str, ...]
    more: dict[str, int]
    receptacles: dict[str, Range]
    things: dict[str, Range]


class Thing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A type of thing: the rooms where it is found, and the receptacles (or groups of them) that can contain it.

    `can` are the verbs of its treatments: keys of `POSSIBLE`, which maps them to predicates.
    """

    rooms: tuple[str, ...]
    on: tuple[str, ...]
    can: tuple[str, ...] = ()


class Tables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `house.toml`. `sentences` are the phrasings of the task, by family."""

    openable: tuple[str, ...]
    rooms: dict[str, Room]
    groups: dict[str, tuple[str, ...]]
    things: dict[str, Thing]
    sentences: dict[str, tuple[str, ...]]

    def places(self, thing: str) -> tuple[str, ...]:
        """The types of receptacles that can contain a type of thing."""
        return tuple(dict.fromkeys(place for word in self.things[thing].on for place in self.groups.get(word, (word,))))

    def found_in(self, room: str) -> tuple[str, ...]:
        """The types of things that are found in a room."""
        return tuple(name for name, thing in self.things.items() if room in thing.rooms)


@cache
def tables() -> Tables:
    """The shipped tables."""
    return msgspec.convert(tomllib.loads(text("house.toml")), Tables)


def text(name: str) -> str:
    """The text of a data file of this package."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
