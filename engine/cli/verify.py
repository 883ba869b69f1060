"""`verify`: recompute the results in a run's log, check what is stored of the run, and list what differs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from engine.cli import exit_codes
from engine.cli.common import Commands, add_command, open_run
from engine.cli.progress import progress
from engine.config import Config, ConfigError
from engine.core.events import PromptsUsed, StepEnded
from engine.core.output import say
from engine.core.text import counted, printable
from engine.runs.agreement import agreement
from engine.runs.directory import Run
from engine.runs.prompts import differing
from engine.runs.starts import changed_settings
from engine.runs.text import agreement_line

if TYPE_CHECKING:
    from engine.evaluation.verify import Means, Report
    from engine.evaluation.verify.stored import StoredRun
    from engine.runs.log import Stored

KINDS = ("rewards", "advantages", "steps", "draws", "episodes", "plays", "searches", "completions", "tokens", "judge")
PAGE = 1_000


def add_commands(commands: Commands) -> None:
    about = "recompute the results in a run's log, check what is stored of the run, and list what differs"
    add_command(commands, "verify", about, _verify, run=True)


def _verify(options: argparse.Namespace) -> int:
    """0 where everything that could be checked is what the log says, 1 where something differs or cannot be read."""
    from engine.evaluation.verify import open_means, verify
    from engine.evaluation.verify.stored import StoredRun

    problems: dict[str, None] = {}

    def means(config: Config) -> Means:
        found = open_means(config)
        problems.update(dict.fromkeys(found.problems))
        return found

    with open_run(options) as run:
        config = _config(run, problems)
        stored = StoredRun(run)
        with progress("verify", stored.last) as reached:
            report = verify(_reaching(stored, reached), config, run.kind, means=means)
        stored.finish()
        edited = [*_edited(run, config), *_other_prompts(run)]
        agrees = agreement(_steps(run))
    for fault in stored.faults:
        say(printable(fault))
    for difference in report.differences:
        logged, again = _shown(difference.logged), _shown(difference.recomputed)
        say(f"event {difference.event}, {printable(difference.where)}: logged {logged}, its events give {again}")
    if more := stored.more + report.more:
        say(f"and {counted(more, 'difference')} more")
    agreed = [agreement_line(agrees)] if agrees is not None else []
    for line in [*_unchecked(report), *problems, *edited, *agreed]:
        say(printable(line))
    return _conclude(stored, report)


def _steps(run: Run) -> list[StepEnded]:
    """The summaries of the steps, as far as they can be read."""
    return [row.data for row in run.read_ended().values if isinstance(row.data, StepEnded)]


def _conclude(stored: StoredRun, report: Report) -> int:
    """Print how much was checked; the exit code."""
    kinds = [*KINDS, *sorted(report.checked.keys() - set(KINDS))]
    counts = ", ".join(f"{kind} {report.checked.get(kind, 0)}" for kind in kinds)
    found = len(stored.faults) + stored.more + len(report.differences) + report.more
    say(f"read {counted(stored.checksums, 'event')}, recomputed {counts}: {counted(found, 'difference')}")
    return exit_codes.FAILED if found or report.without_settings else exit_codes.DONE


def _config(run: Run, problems: dict[str, None]) -> Config | None:
    """What config.toml says; None where it cannot be read, which `problems` then has."""
    try:
        return run.config
    except ConfigError as error:
        problems[str(error)] = None
        return None


def _reaching(stored: StoredRun, reached: Callable[[int], None]) -> Iterator[Stored]:
    """The events of a run; the progress is shown every `PAGE`."""
    for number, event in enumerate(stored.events(), start=1):
        yield event
        if not number % PAGE:
            reached(event.id)


def _edited(run: Run, config: Config | None) -> list[str]:
    """A line where config.toml is no longer what the last start logged. The log is checked by what is logged."""
    if config is None:
        return []
    try:
        changed = changed_settings(run, config)
    except ValueError:  # logged settings that are not TOML, which the report counts
        return []
    said = "; ".join(map(str, changed))
    where = "config.toml was edited after the last start, whose own settings the log has"
    return [f"{where}: {said}"] if said else []


def _other_prompts(run: Run) -> Iterator[str]:
    """A line for each start whose prompts were other ones than before. The log is checked by those that it has."""
    before: PromptsUsed | None = None
    for stored in run.stream(kinds=["prompts_used"]):
        if not isinstance(stored.event, PromptsUsed):
            continue
        if before is not None and (names := differing(before, stored.event)):
            yield f"the prompts changed with event {stored.id}: {', '.join(names)}"
        before = stored.event


def _unchecked(report: Report) -> Iterator[str]:
    """A line for each reason why something was not checked."""
    for reason, count in report.without_settings.items():
        yield f"not recomputed: {counted(count, 'event')} ({reason})"
    for kind, reasons in sorted(report.unchecked.items()):
        for reason, count in reasons.items():
            yield f"not checked: {kind} {count} ({reason})"


def _shown(value: float | str | None) -> str:
    return f"«{printable(value)}»" if isinstance(value, str) else str(value)
