"""A house, drawn from the tables: one room with its receptacles, the things in them, and where the player starts.

The names are mangled as in the benchmark's problems, so that they are told to the player in the same way: `mug 1`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.environments.alfworld.generation.families import Family, Goal, goals, rooms
from engine.environments.alfworld.generation.tables import SWITCHED, Tables

BASIN = "Basin"
MOST = 3
COPIES = 4
LAMPS = 2
BESIDE = 0.1


@dataclass(frozen=True, slots=True)
class Receptacle:
    name: str
    type: str
    location: str


@dataclass(frozen=True, slots=True)
class Item:
    """A thing, and the receptacle where it lies at the start."""

    name: str
    type: str
    place: Receptacle


@dataclass(frozen=True, slots=True)
class House:
    """`start` is a location without receptacles."""

    room: str
    start: str
    receptacles: tuple[Receptacle, ...]
    items: tuple[Item, ...]

    def labels(self) -> dict[str, str]:
        """What the player reads for each name: of a type, the last in the order of the names is number 1."""
        labels: dict[str, str] = {}
        numbers: Counter[str] = Counter()
        named: list[Receptacle | Item] = [*self.receptacles, *self.items]
        for each in sorted(named, key=lambda each: each.name.lower(), reverse=True):
            numbers[each.type] += 1
            labels[each.name] = f"{each.type.lower()} {numbers[each.type]}"
        return labels


def draw_house(draw: random.Random, tables: Tables, family: Family, size: str) -> tuple[House, Goal]:
    """A house of `size` and a goal of `family` that can be reached in it and is not reached yet."""
    room = draw.choice(rooms(tables, family))
    new_name = _namer(draw)
    start = _location(new_name)
    receptacles = _receptacles(draw, tables, room, size, new_name)
    goal = draw.choice(goals(tables, family, room, {each.type for each in receptacles}))
    items: list[Item] = []
    for thing in _things(draw, tables, room, size, goal, receptacles):
        avoided = goal.avoided if thing == goal.thing else None
        place = _place(draw, tables, thing, receptacles, avoided)
        items.append(Item(_position(new_name, thing), thing, place))
    return House(room, start, receptacles, tuple(items)), goal


def _receptacles(
    draw: random.Random, tables: Tables, room: str, size: str, new_name: Callable[..., str]
) -> tuple[Receptacle, ...]:
    """Now and then one shares its location with another, as a coffee machine with the counter that it stands on."""
    table = tables.rooms[room]
    further = draw.randint(*table.receptacles[size]) - len(table.always)
    kinds = [*table.always, *draw.sample(list(table.more), further, counts=list(table.more.values()))]
    receptacles: list[Receptacle] = []
    for kind in kinds:
        beside = receptacles and draw.random() < BESIDE
        location = draw.choice(receptacles).location if beside else _location(new_name)
        receptacles.append(Receptacle(_position(new_name, kind), kind, location))
    return tuple(receptacles)


def _things(
    draw: random.Random, tables: Tables, room: str, size: str, goal: Goal, receptacles: Sequence[Receptacle]
) -> list[str]:
    """The types of the things in the room: those of the goal first, then others."""
    total = draw.randint(*tables.rooms[room].things[size])
    things = [goal.thing] * draw.randint(goal.family.number, MOST)
    if goal.family.lit:
        things += [goal.place] * draw.randint(1, LAMPS)
    present = {each.type for each in receptacles}
    others = [
        thing for thing in tables.found_in(room) if thing not in things and present.intersection(tables.places(thing))
    ]
    counts = [LAMPS if SWITCHED in tables.things[thing].can else COPIES for thing in others]
    return things + draw.sample(others, total - len(things), counts=counts)


def _place(
    draw: random.Random, tables: Tables, thing: str, receptacles: Sequence[Receptacle], avoided: str | None
) -> Receptacle:
    """One of the receptacles that hold `thing`; each type of them is as likely, however many there are."""
    present = {each.type for each in receptacles} - {avoided}
    kind = draw.choice([kind for kind in tables.places(thing) if kind in present])
    return draw.choice([each for each in receptacles if each.type == kind])


def _namer(draw: random.Random) -> Callable[..., str]:
    """A function that fills a pattern with whole numbers, drawn from the ranges given, until no other name is the same."""
    taken: set[str] = set()

    def new_name(pattern: Callable[..., str], *ranges: tuple[int, int]) -> str:
        while True:
            name = pattern(*[draw.randint(*each) for each in ranges])
            if name not in taken:
                taken.add(name)
                return name

    return new_name


def _position(new_name: Callable[..., str], kind: str) -> str:
    """A name with a position in centimetres; a basin is a part of what it is named after."""

    def pattern(*position: int) -> str:
        numbers = (f"_{'minus' if cm < 0 else 'plus'}_{abs(cm) // 100:02}_dot_{abs(cm) % 100:02}" for cm in position)
        name = "_bar_".join((kind.removesuffix(BASIN), *numbers))
        return f"{name}_bar_{kind}" if kind.endswith(BASIN) else name

    return new_name(pattern, (-400, 400), (0, 200), (-400, 400))


def _location(new_name: Callable[..., str]) -> str:
    """A name with a place on the floor in quarter metres, a side to face, and an angle to look down at."""

    def pattern(x: int, z: int, side: int, angle: int) -> str:
        numbers = (f"_minus_{-n}" if n < 0 else str(n) for n in (x, z, side, 15 * angle))
        return "_bar_".join(("loc", *numbers))

    return new_name(pattern, (-16, 16), (-16, 16), (0, 3), (-2, 4))
