"""Engines killed with SIGKILL at random points of all phases, resumed, and compared with a run that nobody killed.

    python -m tests.benchmarks.kill_resume [--count 200] [--seed 1] [--seconds 900] [--set KEY=VALUE …] [--json]

A run is killed several times, and each start goes on from what the one before had saved. At its end it must have the same
weights, optimiser, random states, events (but for times) and edits, it must verify, and nothing unfinished may be left. The
phases are drawn alike: loading, rollouts, update, writing a checkpoint, publishing it, measurement, retention. --seconds
ends the trials early with what was found. The exit code is 1 where a run differs; its folder is kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec

from tests.benchmarks.kill_resume.traps import PHASES
from tests.benchmarks.kill_resume.trials import Trial, trials


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="how many kills (200)")
    parser.add_argument("--seed", type=int, default=1, help="what the drawn points depend on (1)")
    parser.add_argument("--seconds", type=float, default=None, help="end after so many seconds, with what was found")
    parser.add_argument(
        "--set", action="extend", nargs="+", default=[], metavar="KEY=VALUE", help="settings of the runs"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kill-resume-"))
    began, found = time.monotonic(), list[Trial]()
    try:
        for trial in trials(folder, options.count, options.seed, options.set):
            found.append(trial)
            print(f"{sum(len(each.kills) for each in found):>5} kills: {_line(trial)}", file=sys.stderr, flush=True)
            if options.seconds is not None and time.monotonic() - began > options.seconds:
                break
    except KeyboardInterrupt:
        print("ended by Ctrl+C; this is what was found until then", file=sys.stderr)
    seconds = time.monotonic() - began
    wrong = [trial for trial in found if trial.wrong]
    if options.json:
        print(json.dumps({"seconds": seconds, "trials": msgspec.to_builtins(found)}))
    else:
        print(table(found, options.count, seconds))
    if not wrong:
        shutil.rmtree(folder)
    return int(bool(wrong) or not found)


def _line(trial: Trial) -> str:
    return f"{', '.join(trial.kills) or 'none'}: {trial.wrong or 'equal'}"


def table(found: list[Trial], count: int, seconds: float) -> str:
    """Kills by phase, and how many of them are in runs that ended as the whole one did."""
    kills, held = Counter[str](), Counter[str]()
    for trial in found:
        kills.update(trial.kills)
        held.update([] if trial.wrong else trial.kills)
    lines = [f"{'killed in':<16}{'kills':>8}{'resumed bit for bit':>22}"]
    lines += [f"{phase:<16}{kills[phase]:>8}{held[phase]:>22}" for phase in PHASES]
    lines.append(f"{'in all':<16}{kills.total():>8}{held.total():>22}")
    lines.append(
        f"{len(found)} runs in {seconds:.0f} s" + ("" if kills.total() >= count else f"; {count} kills were asked for")
    )
    lines += [f"{trial.run}: {trial.wrong}" for trial in found if trial.wrong]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
