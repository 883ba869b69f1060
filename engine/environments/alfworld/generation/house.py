"""Draw a house from the tables: one room with its receptacles, the things in them, and the start of the player."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from engine.environments.alfworld.generation.families import Family, Goal, goals, rooms
from engine.environments.alfworld.generation.names import Names
from engine.environments.alfworld.generation.tables import SWITCHED, Tables

MOST_WANTED = 3
MOST_OF_A_TYPE = 4
MOST_LAMPS = 2
SHARE_BESIDE = 0.1


@dataclass(frozen=True, slots=True)
class Receptacle:
    name: str
    type: str
    location: str


@dataclass(frozen=True, slots=True)
class Item:
    """A thing, and the receptacle that contains it at the start."""

    name: str
    type: str
    place: Receptacle


@dataclass(frozen=True, slots=True)
class House:
    """One room. `start` is the player's first location, which has no receptacles."""

    start: str
    receptacles: tuple[Receptacle, ...]
    items: tuple[Item, ...]

    def types(self) -> dict[str, str]:
        """The type of every receptacle and thing, by its name."""
        receptacles = {receptacle.name: receptacle.type for receptacle in self.receptacles}
        return receptacles | {item.name: item.type for item in self.items}


def draw_house(draw: random.Random, tables: Tables, family: Family, size: str) -> tuple[House, Goal]:
    """A house of `size`, and a goal of `family` that is possible in it and not yet reached."""
    room = draw.choice(rooms(tables, family))
    names = Names(draw)
    start = names.location()
    receptacles = _receptacles(draw, tables, room, size, names)
    goal = draw.choice(goals(tables, family, room, {each.type for each in receptacles}))
    items: list[Item] = []
    for thing in _things(draw, tables, room, size, goal, receptacles):
        avoided = goal.avoided if thing == goal.thing else None
        place = _place(draw, tables, thing, receptacles, avoided)
        items.append(Item(names.entity(thing), thing, place))
    return House(start, receptacles, tuple(items)), goal


def _receptacles(draw: random.Random, tables: Tables, room: str, size: str, names: Names) -> tuple[Receptacle, ...]:
    """The receptacles. A share of them (`SHARE_BESIDE`) is at the location of another one, like appliances on a counter."""
    table = tables.rooms[room]
    further = draw.randint(*table.receptacles[size]) - len(table.always)
    kinds = [*table.always, *draw.sample(list(table.more), further, counts=list(table.more.values()))]
    receptacles: list[Receptacle] = []
    for kind in kinds:
        beside = receptacles and draw.random() < SHARE_BESIDE
        location = draw.choice(receptacles).location if beside else names.location()
        receptacles.append(Receptacle(names.entity(kind), kind, location))
    return tuple(receptacles)


def _things(
    draw: random.Random, tables: Tables, room: str, size: str, goal: Goal, receptacles: Sequence[Receptacle]
) -> list[str]:
    """The types of the things in the room, those of the goal first."""
    total = draw.randint(*tables.rooms[room].things[size])
    things = [goal.thing] * draw.randint(goal.family.number, MOST_WANTED)
    if goal.family.lit:
        things += [goal.place] * draw.randint(1, MOST_LAMPS)
    present = {each.type for each in receptacles}
    others = [
        thing for thing in tables.found_in(room) if thing not in things and present.intersection(tables.places(thing))
    ]
    counts = [MOST_LAMPS if SWITCHED in tables.things[thing].can else MOST_OF_A_TYPE for thing in others]
    return things + draw.sample(others, total - len(things), counts=counts)


def _place(
    draw: random.Random, tables: Tables, thing: str, receptacles: Sequence[Receptacle], avoided: str | None
) -> Receptacle:
    """A receptacle that can contain `thing`, uniform over the types and then over the receptacles of the type."""
    present = {each.type for each in receptacles} - {avoided}
    kind = draw.choice([kind for kind in tables.places(thing) if kind in present])
    return draw.choice([each for each in receptacles if each.type == kind])
