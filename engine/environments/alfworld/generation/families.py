"""The six task families: the rooms where each is possible, its goals, and the goal conditions as in the benchmark."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from types import MappingProxyType

from engine.environments.alfworld.generation.tables import POSSIBLE, SWITCHED, Tables


@dataclass(frozen=True, slots=True)
class Treatment:
    """A treatment of a thing: the command's verb, the type of receptacle that it needs, the predicate that it makes true."""

    verb: str
    tool: str
    done: str


CLEAN = Treatment("clean", "SinkBasin", "isClean")
HEAT = Treatment("heat", "Microwave", "isHot")
COOL = Treatment("cool", "Fridge", "isCool")


@dataclass(frozen=True, slots=True)
class Family:
    """A task: place `number` things after the `treatment`; or, if `lit`, hold one thing next to a lamp that is on."""

    name: str
    number: int = 1
    treatment: Treatment | None = None
    lit: bool = False


FAMILY = MappingProxyType(
    {
        family.name: family
        for family in (
            Family("look_at_obj_in_light", lit=True),
            Family("pick_and_place_simple"),
            Family("pick_clean_then_place_in_recep", treatment=CLEAN),
            Family("pick_heat_then_place_in_recep", treatment=HEAT),
            Family("pick_cool_then_place_in_recep", treatment=COOL),
            Family("pick_two_obj_and_place", number=2),
        )
    }
)
FAMILIES = tuple(FAMILY)
SIZES = ("small", "medium", "large")
SPLIT = "synthetic"
"""The split of generated games."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A family with the type of the thing, and the type of the receptacle (or lamp) where it must be."""

    family: Family
    thing: str
    place: str

    @property
    def avoided(self) -> str | None:
        """The type of receptacle that must not contain the thing at the start, or the task would be partly done."""
        return None if self.family.lit or self.family.treatment else self.place


def rooms(tables: Tables, family: Family) -> list[str]:
    """The rooms in which a family always has a goal."""
    return [name for name, room in tables.rooms.items() if goals(tables, family, name, room.always)]


def goals(tables: Tables, family: Family, room: str, receptacles: Collection[str]) -> list[Goal]:
    """The goals of a family in a room with receptacles of the types `receptacles`."""
    places = {
        thing: [place for place in tables.places(thing) if place in receptacles] for thing in tables.found_in(room)
    }
    lamps = [thing for thing in places if SWITCHED in tables.things[thing].can and places[thing]]
    things = [thing for thing in places if thing not in lamps and places[thing]]
    if family.lit:
        return [Goal(family, thing, lamp) for thing in things for lamp in lamps]
    treatment = family.treatment
    if treatment is None:
        return [Goal(family, thing, place) for thing in things if len(places[thing]) > 1 for place in places[thing]]
    if treatment.tool not in receptacles:
        return []
    treated = [thing for thing in things if treatment.verb in tables.things[thing].can]
    return [Goal(family, thing, place) for thing in treated for place in places[thing] if place != treatment.tool]


def formula(goal: Goal) -> str:
    """The condition of a goal, in PDDL."""
    thing, place, treatment = f"{goal.thing}Type", f"{goal.place}Type", goal.family.treatment
    if goal.family.lit:
        return f"""(and
    (exists (?ot - object ?r - receptacle ?a - agent ?l - location)
      (and (objectType ?ot {place}) (toggleable ?ot) (isToggled ?ot)
           (inReceptacle ?ot ?r) (receptacleAtLocation ?r ?l) (atLocation ?a ?l)))
    (exists (?o - object ?a - agent)
      (and (objectType ?o {thing}) (holds ?a ?o))))"""
    if goal.family.number == 2:
        return f"""(exists (?r - receptacle ?o1 - object)
    (and (receptacleType ?r {place}) (objectType ?o1 {thing}) (inReceptacle ?o1 ?r)
      (exists (?o2 - object)
        (and (not (= ?o1 ?o2)) (objectType ?o2 {thing}) (inReceptacle ?o2 ?r)))))"""
    treated = f" ({POSSIBLE[treatment.verb]} ?o) ({treatment.done} ?o)" if treatment else ""
    return f"""(exists (?r - receptacle ?o - object)
    (and (receptacleType ?r {place}) (objectType ?o {thing}) (inReceptacle ?o ?r){treated}))"""
