"""`preflight`: try out everything that a run needs, without making one; and the same report before each new run.

skillos-engine preflight --profile spark                 # 1 where a check fails
skillos-engine train --profile spark --override disk     # starts although the check of the disk fails
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import msgspec

from engine.cli import exit_codes
from engine.cli.common import (
    Commands,
    UsageError,
    add_command,
    add_config_options,
    add_job_option,
    job_of,
    load,
    print_json,
)
from engine.config import to_toml
from engine.core.output import note, say, show_progress
from engine.core.paths import kept_path
from engine.core.records import Check
from engine.core.refusals import nearest
from engine.runs import supervisor
from engine.runs.channel import Loading
from engine.runs.directory import check_new
from engine.runs.preparing import Preparing
from engine.system.preflight import NAMES, absolute, blocking, check, lines, verdict

WHOLE_LINES = 100_000
"""The width for a file or a pipe: one line a check."""


class Report(msgspec.Struct, frozen=True):
    """The result of `preflight --json`. `blocking` are the names of failing checks that are not overridden."""

    checks: list[Check]
    blocking: list[str]


def add_commands(commands: Commands) -> None:
    command = add_command(
        commands, "preflight", "try out models, tasks, memory and disk before a run", _preflight, json=True
    )
    add_config_options(command)
    add_job_option(command)
    command.add_argument("--run", type=Path, metavar="DIR", help="the directory that the run will have")
    add_override(command)


def add_override(command: argparse.ArgumentParser) -> None:
    """The option that lets a failing check pass."""
    command.add_argument(
        "--override",
        action="append",
        default=[],
        metavar="CHECK",
        type=_name,
        help=f"start although this check fails, one of: {', '.join(NAMES)}; may be repeated",
    )


def _name(text: str) -> str:
    if text not in NAMES:
        raise argparse.ArgumentTypeError(
            f"there is no check {text!r}{nearest(text, NAMES)}; there are: {', '.join(NAMES)}"
        )
    return text


def _preflight(options: argparse.Namespace) -> int:
    """1 where a check fails that is not overridden."""
    if options.profile is None and options.config is None:
        raise UsageError("which configuration? give --profile or --config FILE, as for the run")
    config = load(options, options.set, job=options.job or "")
    job = job_of(options, config)
    config = absolute(config)
    check(config, job.name)
    if options.run is not None:
        check_new(kept_path(options.run), None)
    near = kept_path(options.run).parent if options.run is not None else supervisor.make_home(supervisor.runs_home())
    with Preparing.begin(job.name, to_toml(config), near, overridden=options.override, worker=options.worker) as engine:
        checks = report(engine, (lambda text: None) if options.json else say)
    stops = blocking(checks, options.override)
    if options.json:
        print_json(Report(checks, [each.name for each in stops]))
    else:
        say(verdict(checks, options.override))
    return exit_codes.FAILED if stops else exit_codes.DONE


def report(engine: Preparing, show: Callable[[str], None] = note) -> list[Check]:
    """Print each check of an engine as it is made; all of them. Raises `RunError` where the engine ends before."""
    checks = []
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else WHOLE_LINES
    try:
        for each in engine.reports():
            if isinstance(each, Loading):
                show_progress(f"{each.what} …")
                continue
            show_progress("")
            checks.append(each.check)
            for line in lines(each.check, width):
                show(line)
    finally:
        show_progress("")
    return checks


def refusal(checks: Sequence[Check], overridden: Collection[str]) -> str:
    """Why no run is made: the end of the report; "" where one may be."""
    return verdict(checks, overridden) if blocking(checks, overridden) else ""
