"""`runs`: list the runs of this user. `engine.cli.prune` has its actions."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli import prune
from engine.cli.common import Commands, add_command, print_json
from engine.cli.status import say_damage, summary_line
from engine.core.output import say
from engine.core.text import printable
from engine.runs import supervisor


def add_commands(commands: Commands) -> None:
    runs = add_command(commands, "runs", "list the runs of this user, or prune them", _runs, json=True)
    runs.add_argument("--size", action="store_true", help="with the disk use of each")
    prune.add_actions(runs)


def _runs(options: argparse.Namespace) -> int:
    if options.size:
        return prune.print_sizes(options)
    found = supervisor.find_runs(supervisor.runs_home())
    if options.json:
        print_json(found)
        return 0
    for summary in found:
        if summary.status is None:
            say(printable(f"{Path(summary.path).name}: cannot be read: {summary.problem}"))
        else:
            say(summary_line(summary.status))
            say_damage(summary.status)
    if not found:
        say(f"no runs yet in {supervisor.runs_home()}")
    return 0
