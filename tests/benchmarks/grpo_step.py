"""Seconds and tokens/s of a GRPO step of the pocket profile by phase, beside commit 4ad2079 and beside stock TRL.

    python -m tests.benchmarks.grpo_step [--rounds 3] [--steps 2] [--set NAME=VALUE] [--without stock] [--json]

Each round runs this engine, the engine of 4ad2079 (its code, checked out into a temporary folder, with the packages of this
Python) and TRL's GRPOTrainer with an `environment_factory` (`grpo/stock.py`) one after the other, so that a machine that is
busy slows all of them. The figures are medians over all steps. CPU seconds say more than wall seconds on a shared machine.
`positions` is how many decisions of a rollout are trained.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).parent / "grpo"
COMMIT = "4ad2079"
PHASES = ("rollouts", "update", "publish", "rest")


LEAST = 0.1
"""Seconds under which a phase is not compared."""


def run(program: str, tree: Path, steps: int, settings: list[str]) -> dict[str, Any]:
    """What one program reports. Exits with its last line where it failed."""
    command = [sys.executable, str(PROGRAMS / f"{program}.py"), "--steps", str(steps)]
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(
        command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{program}: {done.stderr.strip().splitlines()[-1:] or ['it failed']}")
    report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return report


def measure(programs: list[str], rounds: int, steps: int, settings: list[str]) -> dict[str, dict[str, float]]:
    """The medians of each program."""
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / COMMIT
        if "before" in programs:
            archive = subprocess.run(["git", "archive", COMMIT, "engine"], cwd=ROOT, check=True, capture_output=True)
            old.mkdir()
            subprocess.run(["tar", "-x", "-C", str(old)], input=archive.stdout, check=True)
        for number in range(rounds):
            for name in programs:
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
                report = run(name, old if name == "before" else ROOT, steps, settings)
                columns = found[name]
                columns["peak_mb"].append(report["peak_mb"])
                for step in report["steps"]:
                    for phase in PHASES:
                        wall, cpu = step["phases"].get(phase, (0.0, 0.0))
                        columns[f"{phase}_s"].append(wall)
                        columns[f"{phase}_cpu_s"].append(cpu)
                    rollouts, update = (step["phases"][phase][1] for phase in ("rollouts", "update"))
                    columns["sampled_tokens_per_cpu_s"].append(step["tokens"] / rollouts)
                    columns["trained_tokens_per_cpu_s"].append(step["trained"] / update)
                    columns["positions"].append(step["positions"])
    return {name: {key: median(values) for key, values in columns.items()} for name, columns in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2, help="steps of each program in a round")
    parser.add_argument("--set", action="append", default=[], help="a setting of all, such as training.groups=2")
    parser.add_argument("--without", action="append", default=[], choices=["before", "stock"])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    options = parser.parse_args()
    programs = [name for name in ("now", "before", "stock") if name not in options.without]
    measured = measure(programs, options.rounds, options.steps, options.set)
    if options.json:
        print(json.dumps(measured))
        return
    titles = {"now": "this engine", "before": COMMIT, "stock": "stock TRL"}
    print(
        f"{'':<28}" + "".join(f"{titles[name]:>14}" for name in programs) + ("   ratio" if "before" in programs else "")
    )
    for key in measured["now"]:
        cells = "".join(f"{measured[name][key]:>14,.2f}" for name in programs)
        print(f"{key:<28}{cells}" + (_ratio(key, measured["before"], measured["now"]) if "before" in programs else ""))


def _ratio(key: str, before: dict[str, float], now: dict[str, float]) -> str:
    """How many times better this engine is than before; "" for what takes too little to be compared."""
    worse, better = (now, before) if key.endswith("tokens_per_cpu_s") or key == "positions" else (before, now)
    return f"{worse[key] / better[key]:>8.2f}" if min(worse[key], better[key]) >= LEAST else ""


if __name__ == "__main__":
    main()
