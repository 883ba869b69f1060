"""The commands of `skillos-engine`, and how each ends: an exit code, and at most one message.

Nothing heavy is imported here: the work is done by `engine.worker` in a process and session of its own, and only `verify`
and `measure` load a model's libraries. Each command is a module with `add_commands`; a kind of run is a command by its
registry (`engine.jobs.registry`), and an environment may have commands of its own (`engine.cli.environments`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.cli import (
    completion,
    config,
    control,
    environments,
    events,
    exit_codes,
    measure,
    models,
    repair,
    review,
    runs,
    service,
    skills,
    start,
    status,
    verify,
)
from engine.cli.common import Commands, UsageError
from engine.core.errors import SkillosError
from engine.core.output import OutputFailed, Parser, finish, note, prepare, say
from engine.core.text import without_credentials
from engine.runs import supervisor

PROGRAM = "skillos-engine"
COMMANDS = (
    *(start, status, events, control, runs, models, verify, measure, repair, review, config, skills),
    *(service, completion, environments),
)
"""The modules of the commands, in the order of the help. Those of environments are last: a package replaces no command."""


def run(arguments: Sequence[str] | None, worker: Sequence[str] | None) -> int:
    """Run one command and return its exit code."""
    prepare()
    code, message = _outcome(arguments, worker or supervisor.WORKER)
    if message:
        note(f"{PROGRAM}: {message}")
    try:
        finish()
    except OutputFailed as error:
        return _unwritten(error)
    return code


def _outcome(arguments: Sequence[str] | None, worker: Sequence[str]) -> tuple[int, str]:
    """The exit code of a command, and the message that says why it failed."""
    try:
        command_line = parser()
        options = command_line.parse_args(arguments, argparse.Namespace(worker=worker, parser=command_line))
        return int(options.run_command(options)), ""
    except SystemExit as end:  # argparse has printed help, or what is wrong
        return (end.code, "") if isinstance(end.code, int) else (exit_codes.FAILED, str(end.code or ""))
    except OutputFailed as error:
        return _unwritten(error), ""
    except SkillosError as error:
        return exit_codes.USAGE if isinstance(error, UsageError) else exit_codes.FAILED, str(error)
    except PermissionError as error:
        return exit_codes.FAILED, f"{error.filename}: you have no permission for it"
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        return exit_codes.FAILED, without_credentials(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED, ""


def _unwritten(error: OutputFailed) -> int:
    if error.closed:
        return exit_codes.CLOSED_PIPE
    note(f"{PROGRAM}: {error}")
    return exit_codes.FAILED


def parser() -> Parser:
    """The command line with every command."""
    whole = Parser(prog=PROGRAM, description="Train skill curators, and watch and steer it.")
    whole.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands: Commands = whole.add_subparsers(parser_class=Parser, dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_commands(commands)
    whole.epilog = "\n".join(start.add_package_commands(commands)).replace("%", "%%") or None
    return whole


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            say(f"{PROGRAM} {version('skillos-tui')}")
        except PackageNotFoundError:
            say(f"{PROGRAM} (not installed)")
        parser.exit()
