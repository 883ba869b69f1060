"""What synthetic houses are made of, and what the player is told: the package's data files, read once."""

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
    """`always` are receptacles that stand in every such room, `more` how many others there may be of a type.

    `receptacles` and `things` are by size how many there are altogether, from and to.
    """

    always: tuple[str, ...]
    more: dict[str, int]
    receptacles: dict[str, Range]
    things: dict[str, Range]


class Thing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A type of thing: the rooms where it is found, the receptacles (or groups of them) that hold it.

    `can` are the verbs of what can be done with it, keys of `POSSIBLE`, which has the predicates that say so.
    """

    rooms: tuple[str, ...]
    on: tuple[str, ...]
    can: tuple[str, ...] = ()


class Tables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`house.toml`; `sentences` are by family how the task may be said."""

    openable: tuple[str, ...]
    rooms: dict[str, Room]
    groups: dict[str, tuple[str, ...]]
    things: dict[str, Thing]
    sentences: dict[str, tuple[str, ...]]

    def places(self, thing: str) -> tuple[str, ...]:
        """The types of receptacles that hold a type of thing."""
        return tuple(dict.fromkeys(place for word in self.things[thing].on for place in self.groups.get(word, (word,))))

    def found_in(self, room: str) -> tuple[str, ...]:
        """The types of things of a room."""
        return tuple(name for name, thing in self.things.items() if room in thing.rooms)


@cache
def tables() -> Tables:
    """The shipped tables."""
    return msgspec.convert(tomllib.loads(text("house.toml")), Tables)


def text(name: str) -> str:
    """A data file of this package."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
