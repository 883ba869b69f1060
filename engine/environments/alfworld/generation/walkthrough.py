"""What a player who knows the house would do: the shortest of the ways to reach a goal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product

from engine.environments.alfworld.generation.families import Goal
from engine.environments.alfworld.generation.house import House, Item, Receptacle
from engine.environments.alfworld.generation.names import labels
from engine.environments.alfworld.generation.tables import Tables


def shortest(house: House, goal: Goal, tables: Tables) -> tuple[str, ...]:
    """The commands of the shortest way, the first of several."""
    read = labels(house.types())
    ways = _ways(house, goal, lambda: _Way(house.start, read, tables.openable))
    return tuple(min(ways, key=lambda way: len(way.commands)).commands)


def _ways(house: House, goal: Goal, begin: Callable[[], _Way]) -> Iterator[_Way]:
    """All choices of things, of what treats them or lights them, and of where to put them."""
    things = [item for item in house.items if item.type == goal.thing]
    if goal.family.lit:
        for item, lamp in product(things, [item for item in house.items if item.type == goal.place]):
            way = begin()
            way.take(item)
            way.use(lamp)
            yield way
        return
    treatment = goal.family.treatment
    tools = [each for each in house.receptacles if each.type == treatment.tool] if treatment else [None]
    places = [each for each in house.receptacles if each.type == goal.place]
    for items, tool, place in product(combinations(things, goal.family.number), tools, places):
        way = begin()
        for item in items:
            way.take(item)
            if treatment and tool:
                way.treat(treatment.verb, item, tool)
            way.put(item, place)
        yield way


class _Way:
    """A player on the way: where they are, what they have opened, and the commands so far."""

    def __init__(self, start: str, labels: dict[str, str], openable: tuple[str, ...]) -> None:
        self.commands: list[str] = []
        self._location = start
        self._labels = labels
        self._openable = openable
        self._opened: set[Receptacle] = set()

    def take(self, item: Item) -> None:
        self._open(item.place)
        self._do("take {} from {}", item, item.place)

    def put(self, item: Item, receptacle: Receptacle) -> None:
        self._open(receptacle)
        self._do("move {} to {}", item, receptacle)

    def treat(self, verb: str, item: Item, tool: Receptacle) -> None:
        self._go(tool)
        self._do(f"{verb} {{}} with {{}}", item, tool)

    def use(self, item: Item) -> None:
        self._go(item.place)
        self._do("use {}", item)

    def _go(self, receptacle: Receptacle) -> None:
        if receptacle.location != self._location:
            self._do("go to {}", receptacle)
            self._location = receptacle.location

    def _open(self, receptacle: Receptacle) -> None:
        self._go(receptacle)
        if receptacle.type in self._openable and receptacle not in self._opened:
            self._do("open {}", receptacle)
            self._opened.add(receptacle)

    def _do(self, command: str, *entities: Item | Receptacle) -> None:
        self.commands.append(command.format(*[self._labels[each.name] for each in entities]))
