"""What the commands share: how a command is added, how a run is named, how results are printed."""

from __future__ import annotations

import argparse
import getpass
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from engine.config import Config, ConfigError, Implied, load_config, load_profile, profiles, user_profiles
from engine.core.errors import SkillosError
from engine.core.output import note, say_json
from engine.core.parts import kind_of
from engine.core.paths import run_argument, split_step
from engine.core.text import printable_lines
from engine.jobs.base import JobKind
from engine.jobs.registry import JOBS
from engine.models.registry import BACKENDS
from engine.runs import supervisor
from engine.runs.directory import Run

SLOW_SECONDS = 5.0
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class CommandError(SkillosError):
    """A command cannot do what it was asked."""


class UsageError(CommandError):
    """A command line that argparse accepts and that is wrong all the same; the exit code is that of wrong usage."""


def add_command(
    commands: Commands,
    name: str,
    about: str,
    run_command: Callable[[argparse.Namespace], int],
    *,
    run: bool = False,
    json: bool = False,
) -> argparse.ArgumentParser:
    """A command whose `run_command` gives the exit code; `run` adds the argument that names a run."""
    parser = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
    parser.set_defaults(run_command=run_command)
    if run:
        add_run(parser)
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def add_run(parser: argparse.ArgumentParser) -> None:
    """The argument that names a run, for `open_run`."""
    parser.add_argument("run", type=run_argument, metavar="RUN", help="a run's directory, or its name among your runs")


def positive(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def natural(text: str) -> int:
    """A whole number from 0 on, for argparse."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is less than 0")
    return value


def print_json(value: object) -> None:
    """Any typed data, as indented JSON."""
    say_json(value)


def open_run(options: argparse.Namespace) -> Run:
    """The run that the user named, by path or by its name in the runs' home."""
    run = Run.open(run_path(options))
    if run.db.copied:
        note(f"skillos-engine: {run.path}: a private copy is read, since {run.read_only}")
    return run


def run_path(options: argparse.Namespace) -> Path:
    """The directory that the user named, whether or not there is a run."""
    return named_run(Path(options.run))


def named_run(path: Path) -> Path:
    """A run that is named by its path, or by its name among the user's runs; with @STEP where it has that."""
    if os.path.lexists(path) or len(path.parts) != 1:
        return path
    run, at, step = path.name.rpartition("@")
    name = run if at and step.isdecimal() and not os.path.lexists(supervisor.runs_home() / path.name) else path.name
    known = not os.path.lexists(name) and os.path.lexists(supervisor.runs_home() / name)
    return supervisor.runs_home() / path.name if known else path


def open_run_at(options: argparse.Namespace) -> tuple[Run, int | None]:
    """The run and the step that the user named as RUN@STEP; None for a run without a step. Raises `UsageError`."""
    try:
        path, step = split_step(str(named_run(Path(options.run))))
    except ConfigError as error:
        raise UsageError(str(error)) from error
    options.run = str(path)
    return open_run(options), step


def patience_with_notice() -> supervisor.Patience:
    """Waits for an engine without a limit, and prints once that it is still loading."""
    printed = False

    def patience(seconds: float) -> bool:
        nonlocal printed
        if seconds > SLOW_SECONDS and not printed:
            printed = True
            note("the engine is loading; after Ctrl+C it continues to load")
        return True

    return patience


def user_name() -> str:
    """The user's name, for the record; the numeric id where the system has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def lines(text: str) -> str:
    """A message of several lines, safe for a terminal."""
    return printable_lines(text)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which configuration is meant."""
    parser.add_argument("--profile", help=f"one of: {', '.join(profiles())}; or one of your own, in {user_profiles()}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="a TOML file over the profile, which it may name")
    parser.add_argument("--set", action="extend", nargs="+", default=[], metavar="KEY=VALUE", help="training.seed=2, …")


def add_job_option(parser: argparse.ArgumentParser) -> None:
    """The option that says which kind of run is meant."""
    names = list(JOBS.names())
    parser.add_argument(
        "--job", choices=names, help="the kind of run: train, or curate for a model that is not trained"
    )


def job_of(options: argparse.Namespace, config: Config) -> JobKind:
    """The kind of run that `--job` names; without it "train", or "curate" where the curator's model cannot be trained."""
    trains = BACKENDS.load(kind_of(config.model_of("curator"))).trains
    return JOBS.load(options.job or ("train" if trains else "curate"))


def load(
    options: argparse.Namespace, settings: Sequence[str], *, implied: Implied = lambda name: (), job: str = ""
) -> Config:
    """The configuration that `add_config_options` asks for, with `settings` applied, for the kind of run `job` if one is
    meant. Raises `ConfigError`, `UsageError`."""
    folder = user_profiles()
    if options.config is not None:
        return load_config(options.config, settings, profile=options.profile, folder=folder, implied=implied, job=job)
    if options.profile is None:
        raise UsageError(f"which configuration? give --profile ({', '.join(profiles(folder))}) or --config FILE")
    return load_profile(options.profile, settings, folder=folder, implied=implied, job=job)
