"""The commands that start a run, one for each kind of run: create it, or continue an unfinished one, and follow it.

    skillos-engine train --profile pocket --steps 3
    skillos-engine curate --config mine.toml --repo skills --set review.policy=auto

A kind of run is a command by its line in `engine.jobs.registry`, or by a package's entry point, with the short options that
it lists. A package's kind of run never keeps another command from working: one that cannot be a command is left out, or is
a command that says why.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from engine.cli import exit_codes
from engine.cli.common import (
    Commands,
    add_command,
    add_config_options,
    load,
    named_run,
    patience_with_notice,
    user_name,
)
from engine.cli.follow import follow
from engine.config import SECTIONS, Config, has_section, parse, to_tables, to_toml
from engine.core.options import Implied, Option
from engine.core.output import note, say
from engine.core.paths import kept_path
from engine.core.refusals import choices
from engine.core.registry import UnknownPart
from engine.environments import registry as environments
from engine.jobs.base import JobKind
from engine.jobs.registry import JOBS
from engine.runs import supervisor
from engine.runs.directory import DATABASE, Run
from engine.runs.errors import RunError
from engine.runs.measurements import finished_incomplete
from engine.system.plan.fit import doubts, summary
from engine.system.preflight import absolute, check
from engine.training.extending import KEY, extend

FLAG = re.compile(r"--[A-Za-z0-9][A-Za-z0-9-]*")
_LEFT = """
The engine continues without this terminal.
  watch it:  skillos-tui {0}
             skillos-engine events {0} --follow
  stop it:   skillos-engine stop {0}"""


def add_commands(commands: Commands) -> None:
    """The kinds of run that ship."""
    for name in JOBS.shipped:
        _add_command(commands, JOBS.load(name))


def add_package_commands(commands: Commands) -> list[str]:
    """The kinds of run of installed packages, after all other commands. A sentence for each that is left out."""
    left_out = []
    for name in JOBS.added():
        if name in commands.choices:
            left_out.append(
                f"the kind of run {name!r} is left out: a command has this name; its package must rename it"
            )
            continue
        try:
            job = JOBS.load(name)
            _fill(argparse.ArgumentParser(), job)
        except UnknownPart as error:
            _add_refusal(commands, name, error)
        except (argparse.ArgumentError, ValueError) as error:
            why = f"the kind of run {name!r} cannot be started: its options cannot be used: {error}"
            _add_refusal(commands, name, UnknownPart(why))
        else:
            _add_command(commands, job)
    return left_out


def _add_refusal(commands: Commands, name: str, error: UnknownPart) -> None:
    """A command that accepts whatever follows it, and raises `error`."""
    about = "cannot be started: its package is broken"
    parser = commands.add_parser(name, help=about, add_help=False, prefix_chars="\0")
    parser.add_argument("ignored", nargs="*", help=argparse.SUPPRESS)
    parser.set_defaults(run_command=partial(_refuse, error))


def _refuse(error: UnknownPart, options: argparse.Namespace) -> int:
    raise error


def _add_command(commands: Commands, job: JobKind) -> None:
    about = (job.about or f"start a {job.name} run").replace("%", "%%")
    _fill(add_command(commands, job.name, about, partial(_start, job)), job)


def _fill(parser: argparse.ArgumentParser, job: JobKind) -> None:
    """The options of a command. Raises `ArgumentError` or `ValueError` for an option of `job` that cannot be one."""
    add_config_options(parser)
    parser.add_argument(
        "--run", type=Path, metavar="DIR", help="the run's directory; an unfinished run there is continued"
    )
    parser.add_argument("--detach", action="store_true", help="return as soon as the engine works")
    if not job.forks:
        parser.add_argument("--repo", type=Path, required=True, help="the skill repository to work on, made if absent")
    for option in job.options:
        _add_option(parser, option, job)
    for option in environments.short_options():
        with suppress(argparse.ArgumentError, ValueError):  # the command has this flag: --set sets the same
            _add_option(parser, option, job)


def _short_options(job: JobKind) -> tuple[Option, ...]:
    """The options of a job, and those of the environments with another flag."""
    flags = {option.flag for option in job.options}
    return (*job.options, *(option for option in environments.short_options() if option.flag not in flags))


def _add_option(parser: argparse.ArgumentParser, option: Option, job: JobKind) -> None:
    if not FLAG.fullmatch(option.flag):
        raise ValueError(f"{option.flag!r} is not of the form --flag")
    section, _, key = option.key.partition(".")
    types = {**SECTIONS, **({job.name: job.settings} if has_section(job) else {})}
    fields = {field.name: field.type for field in msgspec.structs.fields(types[section])} if section in types else {}
    values = choices(fields[key]) if key in fields else []
    parser.add_argument(
        option.flag,
        dest=option.key,
        type=Path if option.path else str,
        choices=values or None,
        metavar=None if values else "PATH" if option.path else key.upper(),
        help=f"{option.help} ({option.key})".replace("%", "%%"),
    )


def _start(job: JobKind, options: argparse.Namespace) -> int:
    """Create the run, or continue the unfinished one in the named directory: start its engine and follow it.

    Ctrl+C ends only this command.
    """
    config, repo = absolute(_config(job, options)), None if job.forks else kept_path(options.repo)
    config, pinned = job.pin(config)
    check(config, job.name)
    for sentence in pinned:
        say(sentence, flush=True)
    with _run_for(options.run, job.name, config, repo) as run:
        seen = run.last_id()
        note(summary(config, job))
        if notice := supervisor.copy_notice(run):
            note(f"note: {notice}")
        for doubt in doubts(config, job, run.path):
            note(f"warning: {doubt}")
        try:
            supervisor.start(run.path, worker=options.worker, patience=patience_with_notice())
            say(f"run {run.path}", flush=True)
            if config.note:
                say(f"note: {config.note}", flush=True)
            return exit_codes.DONE if options.detach else follow(run, seen)
        except KeyboardInterrupt:
            note(_LEFT.format(shlex.quote(str(run.path))))
            return exit_codes.INTERRUPTED


# The configuration


def _config(job: JobKind, options: argparse.Namespace) -> Config:
    """The configuration that the options ask for; over that of an existing run where they name no other one. What an option
    implies is printed, where it says why."""
    given = [option for option in _short_options(job) if getattr(options, option.key, None) is not None]
    short = [_setting(option, getattr(options, option.key)) for option in given]
    other = options.profile is not None or options.config is not None
    if options.run is not None and not other and (options.run / DATABASE).exists():
        with Run.open(options.run) as run:
            return parse(to_toml(run.config), [*options.set, *short])
    implied = [each for option in given for each in option.implies]
    config = load(options, [*options.set, *short], implied=_of_profile(implied), job=job.name)
    values = _flat(config)
    for each in implied:
        key, _, value = each.setting.partition("=")
        asked = any(setting.partition("=")[0].strip() == key for setting in options.set)
        if each.why and each.profile == config.profile and str(values.get(key)) == value and not asked:
            say(f"{each.setting}: {each.why}", flush=True)
    return config


def _of_profile(implied: Iterable[Implied]) -> Callable[[str], list[str]]:
    return lambda profile: [each.setting for each in implied if each.profile in ("", profile)]


def _setting(option: Option, value: str | Path) -> str:
    """ "section.key=value"; a path as the engine, which works elsewhere, can find it, in TOML's quotes."""
    path = named_run(value) if option.run and isinstance(value, Path) else value
    text = msgspec.json.encode(str(kept_path(path))).decode() if isinstance(path, Path) else path
    return f"{option.key}={text}"


# The run


def _run_for(path: Path | None, kind: str, config: Config, repo: Path | None) -> Run:
    """The unfinished run in the directory that was named, or a new one there or in the runs' home."""
    if path is not None and (path / DATABASE).exists():
        run = Run.open(path)
        _check_same(run, kind, config, repo)
        if JOBS.load(kind).trains and config.training.steps != run.config.training.steps:
            extend(run, config.training.steps, user_name())
        return run
    if path is not None:
        path = kept_path(path)
        return Run.create(path, kind=kind, config_text=to_toml(config), repo=repo)
    reserved = supervisor.new_run_path(supervisor.runs_home(), kind, config.profile)
    try:
        return Run.create(reserved, kind=kind, config_text=to_toml(config), repo=repo)
    except RunError:
        reserved.rmdir()
        raise


def _check_same(run: Run, kind: str, config: Config, repo: Path | None) -> None:
    """Raises `RunError` where the run is of another kind, has ended, or has other settings."""
    advice = f"to continue it: skillos-engine resume {shlex.quote(str(run.path))}; or name another directory"
    if run.kind != kind:
        raise RunError(f"{run.path} is a {run.kind} run, not a {kind} run; {advice}")
    more = JOBS.load(kind).trains and config.training.steps != run.config.training.steps
    if run.state().state == "finished" and not more and not finished_incomplete(run):
        extending = ", or give more steps (--steps N)" if JOBS.load(kind).trains else ""
        raise RunError(f"{run.path} has finished; name another directory for a new run{extending}")
    if repo is not None and repo != run.repo_path:
        raise RunError(f"{run.path} works on {run.repo_path}, not on {repo}; {advice}")
    before, now = _flat(run.config), _flat(config)
    both = [
        key for key in now if key in before and key not in ("note", KEY)
    ]  # the settings of another kind have no counterpart
    changed = [f"{key} ({before[key]} there, {now[key]} requested)" for key in both if before[key] != now[key]]
    if changed:
        raise RunError(f"{run.path} was started with other settings: {', '.join(changed)}; {advice}")


def _flat(config: Config) -> dict[str, object]:
    """Every setting by "section.key", the profile by "profile"."""
    sections = to_tables(config)
    return {
        f"{section}.{key}" if isinstance(values, dict) else section: value
        for section, values in sections.items()
        for key, value in (values.items() if isinstance(values, dict) else [("", values)])
    }
