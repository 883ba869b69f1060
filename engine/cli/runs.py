"""`runs`: list the runs of this user."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.common import Commands, add_command, print_json
from engine.cli.status import summary_line
from engine.core.output import say
from engine.core.text import printable
from engine.runs import supervisor


def add_commands(commands: Commands) -> None:
    add_command(commands, "runs", "list the runs of this user", _runs, json=True)


def _runs(options: argparse.Namespace) -> int:
    found = supervisor.find_runs(supervisor.runs_home())
    if options.json:
        print_json(found)
        return 0
    for summary in found:
        if summary.status is None:
            say(printable(f"{Path(summary.path).name}: cannot be opened: {summary.problem}"))
        else:
            say(summary_line(summary.status))
    if not found:
        say(f"no runs yet in {supervisor.runs_home()}")
    return 0
