"""`train` and `curate`: create a run, or take up an unfinished one, start its engine and follow it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from engine.cli.common import Commands, add_command, patience_with_notice
from engine.cli.following import follow
from engine.config import Config, load_profile, profiles, to_toml
from engine.runs import supervisor
from engine.runs.directory import DATABASE, Run
from engine.runs.errors import RunError
from engine.runs.measurements import finished_incomplete
from engine.system.preflight import absolute, check

_LEFT = """
The engine goes on without this terminal.
  watch it:  skillos-tui {0}
             skillos-engine events {0} --follow
  stop it:   skillos-engine stop {0}"""


def add_commands(commands: Commands) -> None:
    train = add_command(commands, "train", "train a curator", _train)
    _start_options(train)
    train.add_argument("--steps", type=int, help="GRPO steps (training.steps)")

    curate = add_command(commands, "curate", "curate a lasting repository, task after task", _curate)
    _start_options(curate)
    curate.add_argument("--repo", type=Path, required=True, help="the skill repository to work on, made if absent")
    curate.add_argument("--games", type=Path, help="play the ALFWorld games of this directory")
    curate.add_argument(
        "--curator", type=Path, metavar="DIR", help="a train run or checkpoint whose adapter curates (curate.adapter)"
    )
    curate.add_argument("--tasks", type=int, help="how many tasks (curate.tasks)")
    curate.add_argument("--review", choices=["ask", "auto"], help="who decides on edits (review.policy)")


def _start_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", required=True, help=f"one of: {', '.join(profiles())}")
    parser.add_argument("--run", type=Path, metavar="DIR", help="the run's directory; an unfinished run there goes on")
    parser.add_argument("--detach", action="store_true", help="return as soon as the engine works")
    parser.add_argument("--set", action="extend", nargs="+", default=[], metavar="KEY=VALUE", help="training.seed=2, …")


def _train(options: argparse.Namespace) -> int:
    settings = [*options.set, *_given("training.steps", options.steps)]
    return _start(options, "train", load_profile(options.profile, settings), None)


def _curate(options: argparse.Namespace) -> int:
    settings = [
        *options.set,
        *_given("curate.tasks", options.tasks),
        *_given("review.policy", options.review),
        *_given("curate.adapter", _quoted(options.curator)),
    ]
    if options.games is not None:
        games = _given("environment.path", _quoted(options.games))
        settings = [*_decoding(options), *settings, "environment.kind=alfworld", *games]
    return _start(options, "curate", load_profile(options.profile, settings), options.repo.absolute())


def _decoding(options: argparse.Namespace) -> list[str]:
    """How the pocket executor acts in official games, whose actions it cannot write, unless the user says how."""
    key = "executor.decoding"
    if options.profile != "pocket" or any(setting.partition("=")[0].strip() == key for setting in options.set):
        return []
    print(
        f"{key}=loglikelihood: the pocket model cannot write these games' actions, so it takes the likeliest",
        flush=True,
    )
    return [f"{key}=loglikelihood"]


def _quoted(path: Path | None) -> str | None:
    """A path as the engine, which works elsewhere, can find it, in TOML's quotes."""
    return None if path is None else msgspec.json.encode(str(path.absolute())).decode()


def _given(key: str, value: object) -> list[str]:
    return [] if value is None else [f"{key}={value}"]


def _start(options: argparse.Namespace, kind: str, config: Config, repo: Path | None) -> int:
    """Create the run, or take up the unfinished one in the directory named, start its engine, and follow it.

    Ctrl+C ends the following only.
    """
    config = absolute(config)
    check(config, kind)
    with _run_for(options.run, kind, config, repo) as run:
        seen = run.last_id()
        try:
            supervisor.start(run.path, worker=options.worker, patience=patience_with_notice())
            print(f"run {run.path}", flush=True)
            return 0 if options.detach else follow(run, seen)
        except KeyboardInterrupt:
            print(_LEFT.format(run.path), file=sys.stderr)
            return 130


def _run_for(path: Path | None, kind: str, config: Config, repo: Path | None) -> Run:
    """The unfinished run in the directory that was named, or a new one there or in the runs' home."""
    if path is not None and (path / DATABASE).exists():
        run = Run.open(path)
        _check_same(run, kind, config, repo)
        return run
    if path is not None:
        return Run.create(path, kind=kind, config_text=to_toml(config), repo=repo)
    reserved = supervisor.new_run_path(supervisor.runs_home(), kind, config.profile)
    try:
        return Run.create(reserved, kind=kind, config_text=to_toml(config), repo=repo)
    except RunError:
        reserved.rmdir()
        raise


def _check_same(run: Run, kind: str, config: Config, repo: Path | None) -> None:
    """A run is only taken up as what it was. Raises `RunError` that says what differs."""
    advice = f"go on with it by: skillos-engine resume {run.path}; or name another directory"
    if run.kind != kind:
        raise RunError(f"{run.path} is a {run.kind} run, not a {kind} run; {advice}")
    if run.state().state == "finished" and not finished_incomplete(run):
        raise RunError(f"{run.path} has finished; name another directory for a new run")
    if repo is not None and repo != run.repo_path:
        raise RunError(f"{run.path} works on {run.repo_path}, not on {repo}; {advice}")
    before, now = _flat(run.config), _flat(config)
    changed = [f"{key} ({before[key]} there, {now[key]} asked for)" for key in now if before[key] != now[key]]
    if changed:
        raise RunError(f"{run.path} was started with other settings: {', '.join(changed)}; {advice}")


def _flat(config: Config) -> dict[str, object]:
    sections = msgspec.to_builtins(config)
    return {
        f"{section}.{key}" if isinstance(values, dict) else section: value
        for section, values in sections.items()
        for key, value in (values.items() if isinstance(values, dict) else [("", values)])
    }
