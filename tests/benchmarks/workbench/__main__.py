"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import tests.benchmarks.workbench as about
from tests.benchmarks.workbench import items, keys, quiet, rollouts
from tests.benchmarks.workbench.bench import Bench

PARTS: dict[str, Callable[[Bench], None]] = {
    "start": quiet.starting,
    "quiet": quiet.every_screen,
    "home": quiet.home,
    "load": quiet.at_work_load,
    "idle": keys.idle,
    "live": keys.live,
    "slow": keys.slow_line,
    "skills": items.skills,
    "diff": items.diff,
    "transcript": rollouts.transcript,
    "rollouts": rollouts.rollouts,
    "search": rollouts.search,
}


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.workbench", description=str(about.__doc__).splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="events in the logs that are opened")
    parser.add_argument("--samples", type=int, default=20, help="how often each key is pressed")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each idle and live screen is weighed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file too")
    parser.add_argument("--only", choices=list(PARTS), action="append", help="measure this part alone; may be repeated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.events, options.samples, options.seconds)
        bench.warm_up()
        for name in options.only or PARTS:
            PARTS[name](bench)
    missed = [what for what, figures in bench.figures.items() if figures["kept"] is False]
    print(f"{len(missed)} of {sum(figures['kept'] is not None for figures in bench.figures.values())} targets missed")
    if options.json:
        options.json.write_text(json.dumps(bench.figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
