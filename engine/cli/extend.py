"""`extend`: more steps for a train run that has ended.

skillos-engine extend RUN --steps 80            # goes on to step 80 from the newest checkpoint
"""

from __future__ import annotations

import argparse

from engine.cli import exit_codes
from engine.cli.common import Commands, add_command, open_run, patience_with_notice, positive, user_name
from engine.cli.follow import follow
from engine.core.output import say
from engine.runs import supervisor
from engine.system.preflight import check
from engine.training.extending import extend


def add_commands(commands: Commands) -> None:
    command = add_command(
        commands, "extend", "give a train run that has ended more steps, and go on", _extend, run=True
    )
    command.add_argument("--steps", type=positive, required=True, metavar="N", help="how many steps the run has then")
    command.add_argument("--detach", action="store_true", help="return as soon as the engine works")


def _extend(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        extend(run, options.steps, user_name())
        seen = run.last_id()
        supervisor.resume(run, user_name(), check=check, worker=options.worker, patience=patience_with_notice())
        say(f"run {run.path} goes on to step {options.steps}", flush=True)
        return exit_codes.DONE if options.detach else follow(run, seen)
