"""`status`: show the state and the results of a run."""

from __future__ import annotations

import argparse

from engine.cli.common import Commands, add_command, open_run, print_json
from engine.core.text import printable
from engine.runs.status import Status, status
from engine.runs.text import held_out_line, step_line, unit_line, waiting


def add_commands(commands: Commands) -> None:
    add_command(commands, "status", "show the state and the results of a run", _status, run=True, json=True)


def _status(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        now = status(run)
        if options.json:
            print_json(now)
            return 0
        print(summary_line(now))
        if now.engine_note:
            print(f"note: {printable(now.engine_note)}")
        for step in now.ended:
            print(step_line(step, now.steps, run.kind, now.skipped_updates.get(step.step, "")))
        for unit in now.units:
            print(unit_line(unit, now.steps, run.kind))
        for measured in now.held_out:
            print(held_out_line(measured))
        if (age := now.heartbeat_age_s) is not None:
            when = f"{age:.0f} s ago" if age >= 0 else f"{-age:.0f} s in the future (a clock was changed)"
            print(f"{waiting(now.pending_reviews)}; last heartbeat {when}")
    return 0


def summary_line(now: Status) -> str:
    """A run in one line."""
    reason = f" ({printable(now.reason, 200)})" if now.reason else ""
    return f"{now.run}: {now.kind} {now.profile}, {now.state}{reason}, {now.step} of {now.steps}"
