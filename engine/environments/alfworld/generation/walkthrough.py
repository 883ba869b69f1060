"""Plan the shortest walkthrough of a goal for a player who knows the house."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product

from engine.environments.alfworld.generation.families import Goal
from engine.environments.alfworld.generation.house import House, Item, Receptacle
from engine.environments.alfworld.generation.names import labels
from engine.environments.alfworld.generation.tables import Tables


def shortest(house: House, goal: Goal, tables: Tables) -> tuple[str, ...]:
    """The commands of the shortest plan, the first one of several."""
    label_of = labels(house.types())
    plans = _plans(house, goal, lambda: _Plan(house.start, label_of, tables.openable))
    return tuple(min(plans, key=lambda plan: len(plan.commands)).commands)


def _plans(house: House, goal: Goal, begin: Callable[[], _Plan]) -> Iterator[_Plan]:
    """A plan for every choice of things, of the tool or lamp, and of the target receptacle."""
    things = [item for item in house.items if item.type == goal.thing]
    if goal.family.lit:
        for item, lamp in product(things, [item for item in house.items if item.type == goal.place]):
            plan = begin()
            plan.take(item)
            plan.use(lamp)
            yield plan
        return
    treatment = goal.family.treatment
    tools = [each for each in house.receptacles if each.type == treatment.tool] if treatment else [None]
    places = [each for each in house.receptacles if each.type == goal.place]
    for items, tool, place in product(combinations(things, goal.family.number), tools, places):
        plan = begin()
        for item in items:
            plan.take(item)
            if treatment and tool:
                plan.treat(treatment.verb, item, tool)
            plan.put(item, place)
        yield plan


class _Plan:
    """A plan under construction: the player's location, the opened receptacles, and the commands so far."""

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
