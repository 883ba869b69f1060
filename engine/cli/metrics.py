"""`metrics`: the figures of a run's steps, as a table for people, or exported for other programs.

skillos-engine metrics RUN                        # the last step, each figure with its meaning
skillos-engine metrics RUN --jsonl FILE --follow  # one JSON object a step, until the run ends
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from engine.cli.common import Commands, UsageError, add_command, open_run
from engine.cli.follow import POLL_SECONDS, has_ended
from engine.core.output import say, say_json_line
from engine.runs import exporting
from engine.runs.directory import Run
from engine.runs.held_out import change_line, changes, held_out_results
from engine.runs.metrics import METRICS, figures, row, shown
from engine.runs.telemetry import StepMetrics, Telemetry
from engine.runs.text import alarm_line

STANDARD_OUTPUT = Path("-")
WINDOW = 10
"""How many of the last steps the table averages."""

Write = Callable[[Run, Sequence[StepMetrics]], None]


def add_commands(commands: Commands) -> None:
    metrics = add_command(commands, "metrics", "print or export the figures of a run's steps", _metrics, run=True)
    for name, what in (("jsonl", "one JSON object a step"), ("csv", "one row a step")):
        metrics.add_argument(
            f"--{name}",
            nargs="?",
            type=Path,
            const=STANDARD_OUTPUT,
            metavar="FILE",
            help=f"{what}, to FILE; to standard output without one",
        )
    metrics.add_argument(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help="event files for TensorBoard in a folder of the run's name in DIR",
    )
    metrics.add_argument("--follow", action="store_true", help="append each further step until the run ends")


def _metrics(options: argparse.Namespace) -> int:
    writes = _writes(options)
    if options.follow and not writes:
        raise UsageError("--follow needs --jsonl, --csv or --tensorboard")
    with open_run(options) as run:
        telemetry = Telemetry()
        if not writes:
            telemetry.follow(run)
            _show(run, [telemetry.steps[step] for step in sorted(telemetry.steps)])
            return 0
        while True:
            ended = has_ended(run)
            if telemetry.follow(run) or ended:
                steps = exporting.complete(telemetry, ended=ended)
                for write in writes:
                    write(run, steps)
            if ended or not options.follow:
                return 0
            time.sleep(POLL_SECONDS)


def _writes(options: argparse.Namespace) -> list[Write]:
    """How the steps are written, to each place that the command line names. Raises `UsageError` for two that would mix."""
    if options.jsonl == options.csv == STANDARD_OUTPUT:
        raise UsageError("--jsonl and --csv cannot both go to standard output; give one of them a FILE")
    writes: list[Write] = []
    if options.jsonl is not None:
        writes.append(
            _Printed(_print_json) if options.jsonl == STANDARD_OUTPUT else _to_file(options.jsonl, exporting.jsonl)
        )
    if options.csv is not None:
        writes.append(
            _Printed(_print_csv) if options.csv == STANDARD_OUTPUT else _to_file(options.csv, exporting.table)
        )
    if options.tensorboard is not None:
        writes.append(_to_tensorboard(options.tensorboard))
    return writes


def _to_file(path: Path, encode: Callable[[str, Sequence[StepMetrics]], bytes]) -> Write:
    return lambda run, steps: exporting.update(path, encode(run.id, steps), run.id)


def _to_tensorboard(folder: Path) -> Write:
    def write(run: Run, steps: Sequence[StepMetrics]) -> None:
        content, path = exporting.tensorboard(steps), exporting.tensorboard_file(folder, run)
        path.parent.mkdir(parents=True, exist_ok=True)
        exporting.update(path, content, run.id)

    return write


class _Printed:
    """Prints each step once, and again where a resume repeated it."""

    def __init__(self, show: Callable[[str, Sequence[StepMetrics], bool], None]) -> None:
        self._show = show
        self._printed: dict[int, StepMetrics] | None = None

    def __call__(self, run: Run, steps: Sequence[StepMetrics]) -> None:
        first, printed = self._printed is None, self._printed or {}
        self._show(run.id, [step for step in steps if printed.get(step.step) != step], first)
        self._printed = {step.step: step for step in steps}


def _print_json(run_id: str, steps: Sequence[StepMetrics], first: bool) -> None:
    for step in steps:
        say_json_line(row(run_id, step))
    say(end="", flush=True)


def _print_csv(run_id: str, steps: Sequence[StepMetrics], first: bool) -> None:
    say(exporting.table(run_id, steps, header=first).decode(), end="", flush=True)


def _show(run: Run, steps: Sequence[StepMetrics]) -> None:
    """Print the last step's figures, and their mean over the last steps, with their meanings."""
    if not steps:
        say("no step of the run has ended yet")
        return
    last, window = steps[-1], steps[-WINDOW:]
    say(f"step {last.step}; the mean is that of the last {len(window)} steps in which the figure was measured")
    values = [figures(step) for step in window]
    group = ""
    for name, metric in METRICS.items():
        if metric.group != group:
            group = metric.group
            say(f"\n{group}")
        known = [float(value) for found in values if (value := found[name]) is not None]
        mean = shown(name, fmean(known)) if known else ""
        unit = "" if metric.unit == "share" else metric.unit
        say(f"  {name:<20} {shown(name, values[-1][name]):>12} {mean:>12}  {unit:<10}  {metric.meaning}".rstrip())
    for phase, seconds in last.ended.seconds_by.items():
        say(f"  seconds of {phase:<9} {seconds:>12,.1f}")
    found = changes(held_out_results(run))
    if found:
        say()
    for change in found:
        say(change_line(change))
    for alarm in last.alarms or ():
        say(f"\n{alarm_line(alarm)}")
