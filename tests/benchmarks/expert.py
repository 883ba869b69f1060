"""From which states the ALFWorld expert wins, with how many commands, and how long it plans, on one core.

    python -m tests.benchmarks.expert --path ../shared/data/alfworld [--split valid_seen] [--games N] [--json]

Of every game (or the first N of each family), one state after each of K random admissible commands, drawn by the game's
id; states that are won already do not count. A state is lost where what is held can be put down nowhere (a teddy bear,
once taken, often fits no place of the house) and is not what the task asks for.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.core.seeds import stream
from engine.environments.alfworld.expert.planning import Planner
from engine.environments.alfworld.files.loading import load_games
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Game

RANDOM_COMMANDS = (1, 5, 10, 30, 100)
COLUMNS = {
    "states": "states",
    "lost": "lost",
    "won_share": "won",
    "won_share_of_winnable": "of winnable",
    "more_mean": "more, mean",
    "more_max": "more, max",
    "ms_mean": "ms, mean",
    "ms_p95": "ms, p95",
    "ms_max": "ms, max",
    "steps_max": "steps, max",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One state's: `more` is how many commands longer than the walkthrough it is, None where none was found."""

    more: int | None
    lost: bool
    milliseconds: float
    steps: int


def measure(games: Sequence[Game]) -> dict[tuple[str, int], list[Plan]]:
    """The plans by family and number of random commands, and by all families together (`all`)."""
    found: dict[tuple[str, int], list[Plan]] = defaultdict(list)
    for game in games:
        planner = Planner(game)
        for count in RANDOM_COMMANDS:
            environment = wandered(game, count)
            if not environment.won:
                plan = timed_plan(planner, environment)
                found[game.family, count].append(plan)
                found["all", count].append(plan)
    return found


def wandered(game: Game, count: int, seed: int = 0) -> AlfworldEnvironment:
    """The game after `count` random admissible commands, fewer if they win it."""
    environment = AlfworldEnvironment(game)
    draw = stream("expert", game.id, count, seed)
    for _ in range(count):
        if not environment.won:
            environment.step(draw.choice(environment.actions))
    return environment


def timed_plan(planner: Planner, environment: AlfworldEnvironment) -> Plan:
    """Plans, and checks that the plan wins."""
    began = time.perf_counter()
    commands = planner.plan(environment)
    milliseconds = (time.perf_counter() - began) * 1e3
    lost = commands is None and is_lost(environment)
    for command in commands or ():
        environment.step(command)
    if commands is not None and not environment.won:
        raise SystemExit(f"{environment.game.id}: a plan does not win: {', '.join(commands)}")
    more = None if commands is None else len(commands) - len(environment.game.walkthrough)
    return Plan(more, lost, milliseconds, planner.steps)


def is_lost(environment: AlfworldEnvironment) -> bool:
    """Whether what is held, which the task does not ask for, can be put down nowhere."""
    held = [name for predicate, *names in environment.state() if predicate == "holds" for name in names[1:]]
    if not held or held[0].split()[0] in environment.game.task:
        return False
    return not any(command.startswith("move ") for place in places(environment) for command in place)


def places(environment: AlfworldEnvironment) -> Iterator[tuple[str, ...]]:
    """What can be done here and at each place, and there with each thing opened."""
    here = environment.actions
    for going in ("", *(command for command in here if command.startswith("go to "))):
        there = environment.copy()
        there.step(going)
        admissible = there.actions
        yield admissible
        for command in admissible:
            if command.startswith("open "):
                opened = there.copy()
                opened.step(command)
                yield opened.actions


def row(plans: Sequence[Plan]) -> dict[str, float]:
    """A row of the table."""
    more = [plan.more for plan in plans if plan.more is not None]
    lost = sum(plan.lost for plan in plans)
    times = sorted(plan.milliseconds for plan in plans)
    winnable = len(plans) - lost
    values = (
        *(len(plans), lost, len(more) / len(plans), len(more) / winnable if winnable else 1.0),
        *(sum(more) / max(1, len(more)), max(more, default=0)),
        *(sum(times) / len(times), times[int(0.95 * (len(times) - 1))], times[-1]),
        max(plan.steps for plan in plans),
    )
    return dict(zip(COLUMNS, values, strict=True))


def first_of_each_family(games: Sequence[Game], count: int | None) -> list[Game]:
    families: dict[str, list[Game]] = defaultdict(list)
    for game in games:
        families[game.family].append(game)
    return [game for family in sorted(families) for game in families[family][:count]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, required=True, help="where the games lie, official or packed")
    parser.add_argument("--split", default="valid_seen")
    parser.add_argument("--games", type=int, help="only the first so many games of each family")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row instead of the table")
    options = parser.parse_args()
    found = measure(first_of_each_family(load_games(options.path, options.split), options.games))
    rows = {key: row(plans) for key, plans in sorted(found.items()) if plans}
    if options.json:
        for (family, count), values in rows.items():
            print(json.dumps({"family": family, "random_commands": count, **values}))
        return
    print(f"{'family':<32}{'random':>7}" + "".join(f"{label:>12}" for label in COLUMNS.values()))
    for (family, count), values in rows.items():
        print(f"{family:<32}{count:>7}" + "".join(f"{values[key]:>12.4g}" for key in COLUMNS))


if __name__ == "__main__":
    main()
