"""`repair`: rebuild what is derived in a run, and save what can be read of a damaged run.db."""

from __future__ import annotations

import argparse

from engine.cli import exit_codes
from engine.cli.common import Commands, add_command, print_json, run_path, user_name
from engine.core.output import say
from engine.core.text import counted, printable
from engine.runs.directory import Run
from engine.runs.repair import Repaired, ranges, repair


def add_commands(commands: Commands) -> None:
    about = "rebuild what is derived from a run's events, and save what can be read of a damaged run.db"
    add_command(commands, "repair", about, _repair, run=True, json=True)


def _repair(options: argparse.Namespace) -> int:
    """0 where no event was lost, 1 where some could not be read. libgit2 is only loaded for this."""
    from engine.review.journal import reconcile

    path = run_path(options)
    done = repair(path, user_name())
    if options.json:
        print_json(done)
    else:
        _print(done)
    with Run.open(path) as run:
        logged = reconcile(run)
    if logged and not options.json:
        say(printable(f"taken from the commits: decisions on {', '.join(logged)}"))
    return exit_codes.FAILED if done.lost else exit_codes.DONE


def _print(done: Repaired) -> None:
    lost = sum(last - first + 1 for first, last in done.lost)
    say(printable(f"{done.run}: {counted(done.events, 'event')} kept, {lost:,} lost"))
    if done.lost:
        say(f"lost: event {ranges(done.lost)}")
    say(f"derived again: the state, {counted(done.steps, 'step')}, {counted(done.edits, 'edit')}")
    for sentence in (*done.left_out, *done.notes):
        say(printable(sentence))
    if done.original:
        say(printable(f"the original is kept: {done.original}"))
