"""How fast synthetic games are made: `python -m tests.benchmarks.generation [--count 300] [--rules PATH] [--json]`.

One process; every game is verified by playing its walkthrough. `written` also writes the files. The first game of a run
compiles the rules that all share, and that is counted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from engine.environments.alfworld.generation.families import SIZES
from engine.environments.alfworld.generation.files import write
from engine.environments.alfworld.generation.games import generate

ROWS = {
    "games_per_second": "games/s, verified",
    "written_per_second": "games/s, verified and written",
    "bytes_per_game": "bytes per game on disk",
    "walkthrough_mean": "commands of a walkthrough, mean",
}
SEED = 1


def measure(size: str, count: int, rules: Path | None) -> dict[str, float]:
    """A column of the table."""
    began = time.perf_counter()
    games = list(generate(count, SEED, size=size, rules=rules))
    made = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        files = write(generate(count, SEED, size=size, rules=rules), directory)
        written = time.perf_counter() - began
        in_bytes = sum(file.stat().st_size for file in files)
    commands = sum(len(game.walkthrough) for game in games)
    return dict(zip(ROWS, (count / made, count / written, in_bytes / count, commands / count), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="games of each size")
    parser.add_argument("--rules", type=Path, help="games whose domain and grammar are used")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    options = parser.parse_args()
    measured = {size: measure(size, options.count, options.rules) for size in SIZES}
    if options.json:
        print(json.dumps(measured))
        return
    print(f"{'':<35}" + "".join(f"{size:>12}" for size in SIZES))
    for key, label in ROWS.items():
        cells = (f"{measured[size][key]:>12,.{0 if measured[size][key] >= 100 else 1}f}" for size in SIZES)
        print(f"{label:<35}" + "".join(cells))


if __name__ == "__main__":
    main()
