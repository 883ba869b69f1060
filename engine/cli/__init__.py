"""`skillos-engine`: start runs, follow them, command them, and decide on their edits, from a shell or a script.

    skillos-engine train --profile pocket --steps 3 --run DIR
    skillos-engine status DIR --json

A run is named by its directory, or by its name among the runs of this user. `exit_codes` has the exit codes. Nothing heavy
is imported here: the work is done by `engine.worker` in a process and session of its own, and only `verify` and `measure`
load a model's libraries. Each command is a module with `add_commands`; a kind of run is a command by its registry
(`engine.jobs.registry`), and an environment may have commands of its own (`engine.cli.environments`).
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from engine.cli import (
    completion,
    config,
    control,
    environments,
    events,
    exit_codes,
    measure,
    repair,
    review,
    runs,
    skills,
    start,
    status,
    verify,
)
from engine.cli.common import UsageError, lines
from engine.core.errors import SkillosError
from engine.runs import supervisor

PROGRAM = "skillos-engine"
COMMANDS = (
    start,
    status,
    events,
    control,
    runs,
    verify,
    measure,
    repair,
    review,
    config,
    skills,
    completion,
    environments,
)
"""The modules of the commands, in the order of the help. Those of environments are last: a package replaces no command."""


def main(arguments: Sequence[str] | None = None, *, worker: Sequence[str] = supervisor.WORKER) -> int:
    """Run one command and return its exit code. `worker` is the command that runs an engine."""
    command_line = parser()
    options = command_line.parse_args(arguments, argparse.Namespace(worker=worker, parser=command_line))
    try:
        code = int(options.run_command(options))
        print(end="", flush=True)  # there is no sys.stdout where the shell closed it
        return code
    except SkillosError as error:
        print(f"{PROGRAM}: {lines(str(error))}", file=sys.stderr)
        return exit_codes.USAGE if isinstance(error, UsageError) else exit_codes.FAILED
    except PermissionError as error:
        print(f"{PROGRAM}: {lines(f'{error.filename}: you have no permission for it')}", file=sys.stderr)
        return exit_codes.FAILED
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return exit_codes.CLOSED_PIPE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _discard_output()
        print(f"{PROGRAM}: the output cannot be written: {error.strerror}", file=sys.stderr)
        return exit_codes.FAILED


def _discard_output() -> None:
    """What Python still has to write when the process ends cannot be written either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    """The command line with every command."""
    whole = argparse.ArgumentParser(prog=PROGRAM, description="Train skill curators, and watch and steer it.")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_commands(commands)
    whole.epilog = "\n".join(start.add_package_commands(commands)).replace("%", "%%") or None
    return whole
