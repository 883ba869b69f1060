"""Write a house and a goal as a PDDL problem, which fits the benchmark's domain and ours."""

from __future__ import annotations

from engine.environments.alfworld.generation.families import Goal, formula
from engine.environments.alfworld.generation.house import House
from engine.environments.alfworld.generation.tables import POSSIBLE, SWITCHED, Tables

AGENT = "agent1"
NAMED_BY_RULES = {
    "rtype": ("SinkBasinType", "MicrowaveType", "FridgeType"),
    "otype": ("SinkType", "KnifeType", "ButterKnifeType"),
}


def problem(name: str, house: House, goal: Goal, tables: Tables) -> str:
    """The text of the problem. At the start all receptacles are closed, nothing is treated, and the hands are empty."""
    declared = "\n    ".join(_objects(house))
    facts = "\n    ".join(f"({fact})" for fact in _facts(house, tables))
    return f"""(define (problem {name})
  (:domain alfred)
  (:objects
    {declared})
  (:init
    {facts})
  (:goal {formula(goal)}))
"""


def _objects(house: House) -> list[str]:
    members = {
        "agent": [AGENT],
        "location": [house.start, *(each.location for each in house.receptacles)],
        "receptacle": [each.name for each in house.receptacles],
        "object": [each.name for each in house.items],
        "rtype": [*NAMED_BY_RULES["rtype"], *(f"{each.type}Type" for each in house.receptacles)],
        "otype": [*NAMED_BY_RULES["otype"], *(f"{each.type}Type" for each in house.items)],
    }
    return [f"{name} - {kind}" for kind, names in members.items() for name in dict.fromkeys(names)]


def _facts(house: House, tables: Tables) -> list[str]:
    facts = [f"atLocation {AGENT} {house.start}"]
    for receptacle in house.receptacles:
        facts.append(f"receptacleType {receptacle.name} {receptacle.type}Type")
        facts.append(f"receptacleAtLocation {receptacle.name} {receptacle.location}")
        if receptacle.type in tables.openable:
            facts.append(f"openable {receptacle.name}")
    for item in house.items:
        uses = tables.things[item.type].can
        facts.append(f"objectType {item.name} {item.type}Type")
        facts.append(f"inReceptacle {item.name} {item.place.name}")
        facts.append(f"objectAtLocation {item.name} {item.place.location}")
        facts += [f"{POSSIBLE[use]} {item.name}" for use in uses]
        if SWITCHED not in uses:
            facts.append(f"pickupable {item.name}")
    return facts + _containment(house, tables)


def _containment(house: House, tables: Tables) -> list[str]:
    """The facts about which types of receptacles in the house can contain which types of things."""
    present = {each.type for each in house.receptacles}
    things = dict.fromkeys(item.type for item in house.items)
    return [
        f"canContain {place}Type {thing}Type" for thing in things for place in tables.places(thing) if place in present
    ]
