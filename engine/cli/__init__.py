"""`skillos-engine`: start runs, follow them, command them, and decide on their edits, from a shell or a script.

    skillos-engine train --profile pocket --steps 3 --run DIR
    skillos-engine status DIR --json

A run is named by its directory, or by its name among the runs of this user. Exit codes: 0 done, 1 refused or failed
(the reason is on standard error), 2 wrong usage, 130 interrupted by Ctrl+C. Nothing heavy is imported here: the work is
done by `engine.worker` in a process and session of its own, and only `verify` and `measure` load a model's libraries.
Each family of commands is a module with `add_commands`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from engine.cli import checking, following, games, reviewing, skills, starting
from engine.cli.common import lines
from engine.core.errors import SkillosError
from engine.runs import supervisor

FAMILIES = (starting, following, checking, reviewing, games, skills)


def main(arguments: Sequence[str] | None = None, *, worker: Sequence[str] = supervisor.WORKER) -> int:
    """Run one command and return its exit code. `worker` is the command that runs an engine."""
    options = _parser().parse_args(arguments)
    options.worker = worker
    try:
        return int(options.run_command(options))
    except SkillosError as error:
        print(f"skillos-engine: {lines(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="skillos-engine", description="Train skill curators, and watch and steer it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for family in FAMILIES:
        family.add_commands(commands)
    return parser
