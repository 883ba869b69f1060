"""The household's tasks: groups of related errands in one generated house. They need no files.

A task is data: its `family` is the house ("house-7"), its `seed` the house's seed, its `id` names the errand. All tasks of a
group share a house, so that a skill learned in one helps in the next and helps in no other house. The step caps leave a
blind search a success rate of about 0.28 over all errands; an expert always wins.

    source = HouseholdTasks()
    tasks = source.tasks("house-7", seed=7, count=5)
    source.start(tasks[0]).reset()
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from engine.core.seeds import stream
from engine.environments.base import Task, TaskSourceError
from engine.environments.household.environment import Errand, HouseholdEnvironment
from engine.environments.household.house import TREATMENTS, House, draw_house

PLAIN_TURNS = 4
TREATED_TURNS = 6
GROUP_THINGS = 2
GROUP_TREATMENTS = 2


class HouseholdTasks:
    """Implements `engine.environments.base.TaskSource`."""

    name = "household"
    warnings: Sequence[str] = ()

    def families(self, seed: int) -> dict[str, int]:
        """The house of `seed` with the number of its errands."""
        return {f"house-{seed}": len(draw_house(seed).homes) * len(("", *TREATMENTS))}

    def tasks(self, family: str, seed: int, count: int) -> list[Task]:
        """`count` tasks about two things and two treatments of a house, each errand once before any repeats.

        Raises `TaskSourceError` for a family of another environment.
        """
        house, draw = draw_house(_house_seed(family)), stream("group", seed, count)
        things = draw.sample(sorted(house.homes), GROUP_THINGS)
        return _errands(house, things, draw.sample(TREATMENTS, GROUP_TREATMENTS), count, draw)

    def stream(self, seed: int, count: int) -> list[Task]:
        """`count` tasks about everything in the house of `seed`, each errand once before any repeats."""
        house, draw = draw_house(seed), stream("stream", seed, count)
        return _errands(house, sorted(house.homes), TREATMENTS, count, draw)

    def start(self, task: Task) -> HouseholdEnvironment:
        """A fresh episode of `task`. Raises `TaskSourceError` for a task of another environment."""
        return HouseholdEnvironment(draw_house(task.seed), errand_of(task))

    def max_turns(self, task: Task) -> int:
        """The step cap: go, open and take with one turn to spare, go, open, take and treat with two."""
        return TREATED_TURNS if errand_of(task).treatment else PLAIN_TURNS


def house_of(task: Task) -> House:
    """The house that `task` plays in."""
    return draw_house(task.seed)


def errand_of(task: Task) -> Errand:
    """The errand of `task`. Raises `TaskSourceError` for a task of another environment."""
    parts = task.id.split("/")
    if len(parts) != 4 or parts[0] != "household":
        raise TaskSourceError(
            f"{task.id!r} is not a household task (household/house-SEED/NUMBER/THING or …/THING-TREATMENT)"
        )
    thing, _, treatment = parts[3].partition("-")
    return Errand(thing, treatment)


def _house_seed(family: str) -> int:
    """The seed of a family's house."""
    found = re.fullmatch(r"house-(-?\d+)", family)
    if found is None:
        raise TaskSourceError(f"{family!r} is not a household family (house-SEED)")
    return int(found[1])


def _errands(
    house: House, things: Sequence[str], treatments: Sequence[str], count: int, draw: random.Random
) -> list[Task]:
    """`count` tasks, lap by lap over every thing as it is and in each treatment, each lap in a new order."""
    errands: list[Errand] = []
    while len(errands) < count:
        lap = [Errand(thing, treatment) for thing in things for treatment in ("", *treatments)]
        draw.shuffle(lap)
        errands += lap
    return [_task(house, errand, number) for number, errand in enumerate(errands[:count])]


def _task(house: House, errand: Errand, number: int) -> Task:
    what = f"{errand.thing}-{errand.treatment}" if errand.treatment else errand.thing
    return Task(
        id=f"household/house-{house.seed}/{number}/{what}",
        family=f"house-{house.seed}",
        prompt=errand.prompt,
        seed=house.seed,
        difficulty=_difficulty(house, errand),
    )


def _difficulty(house: House, errand: Errand) -> int:
    """The fewest actions that win: go, open what is shut, take, and treat what is to be treated."""
    return 2 + (house.homes[errand.thing] in house.shut) + bool(errand.treatment)
