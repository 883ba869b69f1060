"""`status`: show the state and the results of a run."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from engine.cli.common import Commands, add_command, open_run, print_json
from engine.core.output import say
from engine.core.text import printable
from engine.runs.status import Status, status
from engine.runs.text import agreement_line, held_out_line, step_line, unit_line, waiting


def add_commands(commands: Commands) -> None:
    add_command(commands, "status", "show the state and the results of a run", _status, run=True, json=True)


def _status(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        now = status(run)
        if options.json:
            print_json(now)
            return 0
        say(summary_line(now))
        say_damage(now)
        if now.engine_note:
            say(f"note: {printable(now.engine_note)}")
        for warning in now.warnings:
            say(f"warning: {printable(warning, 400)}")
        for step in now.ended:
            say(step_line(step, now.steps, run.kind, now.skipped_updates.get(step.step, "")))
        for unit in now.units:
            say(unit_line(unit, now.steps, run.kind))
        for measured in now.held_out:
            say(held_out_line(measured))
        if now.agreement is not None:
            say(agreement_line(now.agreement))
        if (age := now.heartbeat_age_s) is not None:
            when = f"{age:.0f} s ago" if age >= 0 else f"{-age:.0f} s in the future (a clock was changed)"
            say(f"{waiting(now.pending_reviews)}; last heartbeat {when}")
    return 0


def summary_line(now: Status) -> str:
    """A run in one line."""
    reason = f" ({printable(now.reason, 200)})" if now.reason else ""
    what = printable(f"{Path(now.path).name}: {now.kind} {now.profile}, {now.state}")
    return f"{what}{reason}, {now.step} of {now.steps}{', read-only' if now.read_only else ''}"


def say_damage(now: Status) -> None:
    """Print what cannot be read of a run, and what can be done."""
    for row in now.damaged:
        say(f"  damaged: {printable(row)}")
    if now.damaged:
        say(f"  repair it: skillos-engine repair {shlex.quote(now.path)}")
