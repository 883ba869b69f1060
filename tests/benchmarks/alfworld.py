"""How fast our engine plays the official ALFWorld games, on one core.

    python -m tests.benchmarks.alfworld --path ../shared/data/alfworld [--split valid_seen] [--json]

Every walkthrough of the split is played twice: `cold` by environments that have just been made, `warm` by the same ones
again. Admissible actions are computed at every step. Loading is from the game's text to a started environment; the
first game of a split also compiles the rules that all share.

Where TextWorld is installed (see `docs/textworld.md`), a few of the games are played in it too, from their files in the
official layout, and in the same run in ours: just loaded, each walkthrough once, in both (ours: ten times anew).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import harmonic_mean, mean

from engine.environments.alfworld.files.loading import load_games
from engine.environments.alfworld.generation.files import write
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Game
from tests.environments.textworld_engine import Session, installed, play_in_textworld

ROWS = {
    "games": "games",
    "list_seconds": "listing the split, s",
    "load_ms_mean": "loading a game, ms, mean",
    "load_ms_max": "loading a game, ms, max",
    "reset_ms_mean": "reset, ms, mean",
    "reset_ms_max": "reset, ms, max",
    "cold_steps_per_second": "steps/s, cold",
    "warm_steps_per_second": "steps/s, warm",
    "copy_ms_mean": "copy of a running environment, ms, mean",
    "bytes_first": "bytes, first environment of a game",
    "bytes_next": "bytes, each further one",
    "textworld_games": "TextWorld: games",
    "textworld_load_ms_mean": "TextWorld: loading a game, ms, mean",
    "textworld_reset_ms_mean": "TextWorld: reset, ms, mean",
    "textworld_step_ms_mean": "TextWorld: step, ms, mean",
    "textworld_step_ratio": "our steps/s ÷ TextWorld's",
}
TEXTWORLD_GAMES = 7
"""About how many games TextWorld plays, spread over the split; each takes it some seconds."""


def measure(path: Path, split: str) -> dict[str, float | None]:
    """All rows of the table; those of TextWorld are `None` where it is not installed."""
    began = time.perf_counter()
    games = load_games(path, split)
    listed = time.perf_counter() - began
    walkthroughs = [game.walkthrough for game in games]
    environments: list[AlfworldEnvironment] = []
    loads = [timed(lambda: environments.append(AlfworldEnvironment(game))) for game in games]  # noqa: B023
    cold = play(environments, walkthroughs)
    resets = [timed(environment.reset) for environment in environments]
    warm = play(environments, walkthroughs)
    copies = [timed(environment.copy) for environment in environments]
    first, following = memory(load_games(path, split)[:: max(1, len(games) // 10)])
    values = (
        *(len(games), listed, *mean_and_max(loads), *mean_and_max(resets), cold, warm),
        *(mean_and_max(copies)[0], first, following),
        *(against_textworld(path, split) if installed else [None] * 5),
    )
    return dict(zip(ROWS, values, strict=True))


def play(environments: Sequence[AlfworldEnvironment], walkthroughs: Sequence[Sequence[str]]) -> float:
    """Steps per second over all walkthroughs, each of which must win."""
    began = time.perf_counter()
    for environment, actions in zip(environments, walkthroughs, strict=True):
        for action in actions:
            environment.step(action)
        if environment.result() is None:
            raise SystemExit(f"{environment.game.id}: the walkthrough does not win")
    return sum(map(len, walkthroughs)) / (time.perf_counter() - began)


def against_textworld(path: Path, split: str) -> tuple[float, ...]:
    """The rows of TextWorld; ours are found and loaded anew each time, so that neither engine has seen any state."""
    games = some(path, split)
    walkthroughs = [game.walkthrough for game in games]
    with tempfile.TemporaryDirectory() as folder:
        files = write(games, folder)
        theirs = play_in_textworld(
            [Session(str(file), [list(actions)]) for file, actions in zip(files, walkthroughs, strict=True)]
        )
    ours = harmonic_mean([play(list(map(AlfworldEnvironment, some(path, split))), walkthroughs) for _ in range(10)])
    load = mean([played.load_seconds for played in theirs])
    reset = mean([seconds for played in theirs for seconds in played.reset_seconds])
    step = mean([seconds for played in theirs for seconds in played.step_seconds])
    return len(games), load * 1e3, reset * 1e3, step * 1e3, ours * step


def some(path: Path, split: str) -> Sequence[Game]:
    """The games that TextWorld plays."""
    games = load_games(path, split)
    return games[:: max(1, len(games) // TEXTWORLD_GAMES)]


def memory(games: Sequence[Game]) -> tuple[float, float]:
    """Bytes of the first played environment of a game, its program included, and of each further one, on average."""
    AlfworldEnvironment(games[0])
    tracemalloc.start()
    try:
        sizes = []
        for game in games:
            before = tracemalloc.get_traced_memory()[0]
            first = played(game)
            middle = tracemalloc.get_traced_memory()[0]
            more = [played(game) for _ in range(8)]
            sizes.append((middle - before, (tracemalloc.get_traced_memory()[0] - middle) / len(more)))
            del first, more
    finally:
        tracemalloc.stop()
    return sum(first for first, _ in sizes) / len(sizes), sum(further for _, further in sizes) / len(sizes)


def played(game: Game) -> AlfworldEnvironment:
    environment = AlfworldEnvironment(game)
    for action in game.walkthrough:
        environment.step(action)
    return environment


def timed(call: Callable[[], object]) -> float:
    """Milliseconds of a call."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e3


def mean_and_max(values: Sequence[float]) -> tuple[float, float]:
    return sum(values) / len(values), max(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, required=True, help="where the games lie, official or packed")
    parser.add_argument("--split", default="valid_seen")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    options = parser.parse_args()
    measured = measure(options.path, options.split)
    if options.json:
        print(json.dumps(measured))
        return
    for key, label in ROWS.items():
        print(f"{label:<45}{told(measured[key]):>13}")


def told(value: float | None) -> str:
    if value is None:
        return "not installed"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{0 if value >= 100 else 2}f}"


if __name__ == "__main__":
    main()
