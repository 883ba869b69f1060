"""`checkpoints`: the checkpoints of a run, with what each scored and why it is kept."""

from __future__ import annotations

import argparse

from engine.cli.common import CommandError, Commands, add_command, open_run, print_json
from engine.cli.prune import size
from engine.core.output import note, say
from engine.core.text import counted, printable
from engine.jobs.registry import JOBS
from engine.runs.text import number


def add_commands(commands: Commands) -> None:
    about = "list the checkpoints of a run, their held-out scores, and why each is kept"
    add_command(commands, "checkpoints", about, _checkpoints, run=True, json=True)


def _checkpoints(options: argparse.Namespace) -> int:
    from engine.training.retention import entries

    with open_run(options) as run:
        if not JOBS.load(run.kind).trains:
            raise CommandError(f"{run.path} is a {run.kind} run, which trains nothing: it has no checkpoints")
        found = entries(run, run.config.training)
    if options.json:
        print_json(found)
        return 0
    for one in found:
        error = "" if one.standard_error is None else f" ±{one.standard_error:.3f}"
        why = "; ".join(one.kept) or "is removed after the next step"
        state = f"DAMAGED: {one.damage}; " if one.damage else ""
        say(printable(f"step {one.step:>5}  {size(one.bytes):>10}  r_task {number(one.r_task)}{error}  {state}{why}"))
    if found:
        say(f"{counted(len(found), 'checkpoint')}, {size(sum(one.bytes for one in found))}")
    else:
        note(f"{run.path} has no checkpoint yet: the first one is saved after step 1")
    return 0
