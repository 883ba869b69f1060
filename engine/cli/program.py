"""The commands of `skillos-engine`, and how each ends: an exit code, and at most one message.

A command is imported when it is asked for. Nothing heavy is: the work is done by `engine.worker` in a process and session of
its own, and only `verify` and `measure` load a model's libraries. Each command is a module with `add_commands`; a kind of
run is a command by its registry (`engine.jobs.registry`), and an environment may have commands of its own
(`engine.cli.environments`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from engine.cli import exit_codes
from engine.cli.common import Commands, UsageError
from engine.core.errors import SkillosError
from engine.core.output import OutputFailed, Parser, finish, note, prepare, say
from engine.core.text import without_credentials
from engine.jobs.registry import JOBS
from engine.runs import supervisor

PROGRAM = "skillos-engine"
COMMANDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "start": tuple(JOBS.shipped),
        "status": ("status",),
        "metrics": ("metrics",),
        "events": ("events",),
        "rollouts": ("rollouts", "search"),
        "control": ("pause", "resume", "stop", "checkpoint", "set", "policy", "steps"),
        "runs": ("runs",),
        "models": ("models",),
        "prompts": ("prompts",),
        "verify": ("verify",),
        "measure": ("measure",),
        "checkpoints": ("checkpoints",),
        "extend": ("extend",),
        "export": ("export",),
        "repair": ("repair",),
        "review": ("review",),
        "config": ("config",),
        "plan": ("plan",),
        "preflight": ("preflight",),
        "doctor": ("doctor",),
        "skills": ("skills",),
        "service": ("service",),
        "completion": ("completion",),
    }
)
"""The modules in `engine.cli`, and the commands that each adds, in the order of the help. Those of environments and packages
come after them: a package replaces no command."""


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
        given = sys.argv[1:] if arguments is None else arguments
        command_line = parser(given[0] if given else "")
        options = command_line.parse_args(given, argparse.Namespace(worker=worker, whole_parser=parser))
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


def parser(command: str = "") -> Parser:
    """The command line with the module of the shipped `command` only; with every command where none is called so."""
    whole = Parser(prog=PROGRAM, description="Train skill curators, and watch and steer it.")
    whole.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands: Commands = whole.add_subparsers(parser_class=Parser, dest="command", required=True, metavar="COMMAND")
    module = next((module for module, names in COMMANDS.items() if command in names), None)
    for name in [module] if module else COMMANDS:
        import_module(f"engine.cli.{name}").add_commands(commands)
    if module is None:
        whole.epilog = "\n".join(_add_others(commands)).replace("%", "%%") or None
    return whole


def _add_others(commands: Commands) -> list[str]:
    """Add the commands of environments and of packages. A sentence for each that is left out."""
    from engine.cli import environments, start

    environments.add_commands(commands)
    return start.add_package_commands(commands)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            say(f"{PROGRAM} {version('skillos-tui')}")
        except PackageNotFoundError:
            say(f"{PROGRAM} (not installed)")
        parser.exit()
