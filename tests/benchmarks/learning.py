"""What each part of the method adds to what a curator learns: train runs without it, beside the full method.

    python -m tests.benchmarks.learning --out FOLDER [--steps 40] [--every 10] [--groups 32] [--seeds 1 2 3]
                                        [--arms full no_validity no_compression ungrouped] [--seconds S] [--json FILE]

Each arm is a train run of the pocket profile for each seed, measured at the same steps on the same held-out groups. FOLDER
keeps the runs: called again with the same settings, it goes on where it was, and after `--seconds` it stops the run at work
and reports what there is. The differences to `full` are paired by held-out group and seed. Their 95 % interval is a
bootstrap over groups and seeds; p is of a sign-flip test over groups, of which each has the mean of its seeds, corrected by
Holm over the arms. The smallest effect is what so many groups show with a power of 80 %, were the spread as it is.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from engine.config import load_profile, to_toml
from engine.config.changes import changes
from engine.runs import supervisor
from engine.runs.directory import Run
from engine.runs.held_out import held_out_results
from engine.runs.paired import LEAST_GROUPS, holm, sign_flip_p, smallest_effect
from engine.runs.status import shown_state

ARMS: Mapping[str, tuple[str, ...]] = {
    "full": (),
    "no_validity": ("rewards.lambda_f=0.0",),
    "no_compression": ("rewards.lambda_c=0.0",),
    "ungrouped": ("grouping.kind=unrelated",),
}
DRAWS = 10_000
POLL_SECONDS = 1.0

Curve = dict[int, list[float | None]]
"""r_task of each held-out group, by the step after which it was measured."""


class OutOfTime(Exception):
    """The time that was given is over; the runs are kept."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--every", type=int, default=10, help="steps between two measurements")
    parser.add_argument("--groups", type=int, default=32, help="held-out groups")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop then, and report what there is")
    parser.add_argument("--set", nargs="+", action="extend", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="by default FOLDER/learning.json")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    complete = True
    for seed in options.seeds:  # all arms of a seed first, so that what there is can be compared
        for arm in options.arms:
            try:
                make(run_path(options.out, arm, seed), arm, seed, options, end)
            except OutOfTime:
                complete = False
    curves = {
        arm: {seed: c for seed in options.seeds if (c := curve(run_path(options.out, arm, seed)))}
        for arm in options.arms
    }
    result = {"complete": complete, "settings": vars(options) | {"out": str(options.out)}, "curves": curves}
    rows = result["comparisons"] = compared(curves)
    target = options.json or options.out / "learning.json"
    target.write_text(json.dumps(result, indent=2, default=str) + "\n", encoding="utf-8")
    report(curves, rows)
    print(f"\n{'complete' if complete else 'not complete: call it again to go on'}; all points: {target}")
    return 0


def run_path(out: Path, arm: str, seed: int) -> Path:
    return out / f"{arm}-seed{seed}"


# The runs


def make(path: Path, arm: str, seed: int, options: argparse.Namespace, end: float) -> None:
    """Bring a run to its end. Raises `OutOfTime`, and `SystemExit` where it fails."""
    settings = [
        f"training.steps={options.steps}",
        f"training.seed={seed}",
        f"training.evaluate_every={options.every}",
        f"training.evaluate_groups={options.groups}",
        *ARMS[arm],
        *options.settings,
    ]
    if (path / "run.db").exists():
        with Run.open(path) as run:
            if other := changes(to_toml(run.config), to_toml(load_profile("pocket", settings))):
                raise SystemExit(
                    f"{path} was made with other settings ({'; '.join(map(str, other))}); give another --out"
                )
            if shown_state(run) == "finished":
                return
    if time.monotonic() > end:
        raise OutOfTime
    command = (
        ["resume", str(path)]
        if (path / "run.db").exists()
        else [
            "train",
            "--profile",
            "pocket",
            "--detach",
            "--run",
            str(path),
            "--set",
            *settings,
        ]
    )
    print(f"{path.name}: {command[0]}", flush=True)
    done = subprocess.run([sys.executable, "-m", "engine.cli", *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{path.name}: {done.stderr or done.stdout}")
    with Run.open(path) as run:
        _wait(run, end)


def _wait(run: Run, end: float) -> None:
    """Wait until the run's engine has ended; at `end` it is stopped."""
    late = False
    while run.engine_alive():
        if time.monotonic() > end and not late:
            late = supervisor.stop(run, "the benchmark")
        time.sleep(POLL_SECONDS)
    state = run.state()
    if late and state.state != "finished":
        raise OutOfTime
    if state.state != "finished":
        raise SystemExit(f"{run.path.name} is {state.state}: {state.reason}")


def curve(path: Path) -> Curve:
    """r_task of each held-out group, by step; a group without a measured later position is None."""
    if not (path / "run.db").exists():
        return {}
    with Run.open(path) as run:
        return {step: [group.r_task for group in found.groups] for step, found in held_out_results(run).items()}


# The comparison


def compared(curves: Mapping[str, Mapping[int, Curve]]) -> list[dict[str, Any]]:
    """Every arm beside `full`, at each step that both have; the p-values of the last such step are corrected by Holm."""
    rows = []
    for arm in (arm for arm in curves if arm != "full" and "full" in curves):
        seeds = sorted(curves[arm].keys() & curves["full"].keys())
        steps = sorted(
            set.intersection(*(set(curves[name][seed]) for name in (arm, "full") for seed in seeds)) if seeds else ()
        )
        for step in steps:
            pairs = [paired(curves[arm][seed][step], curves["full"][seed][step]) for seed in seeds]
            rows.append({"arm": arm, "step": step, "seeds": seeds, "last": step == steps[-1], **difference(pairs)})
    last = [row for row in rows if row["last"]]
    for row, corrected in zip(last, holm([row["p"] for row in last]), strict=True):
        row["holm"] = corrected
    return rows


def paired(arm: Sequence[float | None], full: Sequence[float | None]) -> list[float]:
    """The differences by held-out group; NaN where one side was not measured."""
    return [math.nan if a is None or b is None else a - b for a, b in zip(arm, full, strict=True)]


def difference(pairs: Sequence[Sequence[float]]) -> dict[str, Any]:
    """The mean difference over `[seed][group]`, with its interval, p, and the smallest effect that it could show."""
    table = np.array(pairs, dtype=float)
    groups = np.nanmean(table, axis=0)[~np.isnan(table).all(axis=0)]
    n = int((~np.isnan(table)).sum())
    base = {
        "n": n,
        "groups": len(groups),
        "difference": float(np.nanmean(table)),
        "by_seed": np.nanmean(table, axis=1).tolist(),
    }
    if len(groups) < LEAST_GROUPS:
        return {**base, "low": None, "high": None, "p": None, "smallest": None}
    random = np.random.default_rng(1)
    seeds = random.integers(0, table.shape[0], (DRAWS, table.shape[0], 1))
    places = random.integers(0, table.shape[1], (DRAWS, 1, table.shape[1]))
    drawn = np.nanmean(table[seeds, places], axis=(1, 2))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    changes = groups.tolist()
    return {
        **base,
        "low": float(low),
        "high": float(high),
        "p": sign_flip_p(changes),
        "smallest": smallest_effect(changes),
    }


def report(curves: Mapping[str, Mapping[int, Curve]], rows: Sequence[Mapping[str, Any]]) -> None:
    """The held-out curves, then the table of the differences."""
    for arm, by_seed in curves.items():
        for seed, points in by_seed.items():
            means = {step: [value for value in row if value is not None] for step, row in points.items()}
            told = "  ".join(
                f"{step}: {fmean(known):.3f}" if known else f"{step}: n/m" for step, known in means.items()
            )
            print(f"{arm:<16} seed {seed}  held-out r_task  {told}")
    names = f"{'without':<16}{'step':>5}{'n':>6}{'difference':>12}  {'95 % interval':<19}"
    print(f"\n{names}{'p':>8}{'Holm':>8}{'smallest':>10}  by seed")
    for row in rows:
        interval = n_m = "n/m"
        p = holm = smallest = n_m
        if row["p"] is not None:
            interval = f"{row['low']:+.3f} to {row['high']:+.3f}"
            p, smallest = f"{row['p']:.4f}", f"{row['smallest']:.3f}"
            holm = f"{row['holm']:.4f}" if row["last"] else ""
        seeds = " ".join(f"{value:+.3f}" for value in row["by_seed"])
        what = f"{row['arm']:<16}{row['step']:>5}{row['n']:>6}{row['difference']:>+12.3f}"
        print(f"{what}  {interval:<19}{p:>8}{holm:>8}{smallest:>10}  {seeds}")


if __name__ == "__main__":
    sys.exit(main())
