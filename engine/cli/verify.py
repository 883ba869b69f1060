"""`verify`: recompute the results in a run's log, and list what differs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from engine.cli import exit_codes
from engine.cli.common import Commands, add_command, open_run
from engine.config import Config, ConfigError
from engine.core.output import say
from engine.core.text import printable
from engine.environments.base import TaskSource, TaskSourceError
from engine.environments.registry import open_held_out, open_source

if TYPE_CHECKING:
    from engine.evaluation.verify import Report, Tokens

KINDS = ("rewards", "advantages", "steps", "draws", "episodes", "plays", "searches", "completions", "tokens", "judge")


def add_commands(commands: Commands) -> None:
    add_command(commands, "verify", "recompute the results in a run's log, and list what differs", _verify, run=True)


def _verify(options: argparse.Namespace) -> int:
    """0 where everything that could be recomputed is what the log says, 1 where something differs."""
    from engine.evaluation.verify import verify

    with open_run(options) as run:
        config = run.config
        tokens, problem = _tokens(config)
        source, held_out = _sources(config)
        report = verify(run.events(), config, run.kind, tokens=tokens, source=source, held_out=held_out)
    for difference in report.differences:
        logged, again = _shown(difference.logged), _shown(difference.recomputed)
        say(f"event {difference.event}, {printable(difference.where)}: logged {logged}, its events give {again}")
    _print_unchecked(report, problem)
    kinds = [*KINDS, *sorted(report.checked.keys() - set(KINDS))]
    counts = ", ".join(f"{kind} {report.checked.get(kind, 0)}" for kind in kinds)
    say(f"recomputed {counts}: {len(report.differences)} differences")
    return exit_codes.FAILED if report.differences else exit_codes.DONE


def _tokens(config: Config) -> tuple[Tokens | None, str]:
    """The run's tokenizer, or why it cannot be had."""
    from engine.evaluation.verify.tokens import load

    try:
        return load(config.model), ""
    except ConfigError as error:
        return None, str(error)


def _sources(config: Config) -> tuple[TaskSource | None, TaskSource | None]:
    """The run's task source and that of its held-out groups; None where its files cannot be read."""
    try:
        source = open_source(config.environment)
    except TaskSourceError:
        return None, None
    try:
        return source, open_held_out(config.environment, source)
    except (TaskSourceError, ConfigError):
        return source, None


def _print_unchecked(report: Report, problem: str) -> None:
    for kind, reasons in sorted(report.unchecked.items()):
        for reason, count in reasons.items():
            say(f"not checked: {kind} {count} ({printable(reason)})")
    if problem:
        say(f"the tokenizer: {printable(problem)}")


def _shown(value: float | str | None) -> str:
    return f"«{printable(value)}»" if isinstance(value, str) else str(value)
