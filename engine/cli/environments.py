"""The commands that environments bring: `games` of ALFWorld, and those of installed packages.

    KIND = EnvironmentKind(name="maze", ..., command="maze.commands:add_commands")

    def add_commands(commands: Commands) -> None:
        maze = add_command(commands, "maze", "draw a maze", draw)     # both of engine.cli.common
        maze.add_argument("--size", type=int, default=5)

A command prints with `say` and `note` of `engine.core.output`. The module is imported whenever the command line is built,
so its import must be cheap.
"""

from __future__ import annotations

import argparse
from functools import partial

from engine.cli.common import Commands, add_command
from engine.core.registry import UnknownPart, resolve
from engine.environments.base import EnvironmentKind
from engine.environments.registry import ENVIRONMENTS


def add_commands(commands: Commands) -> None:
    for name in ENVIRONMENTS.names():
        try:
            kind = ENVIRONMENTS.load(name)
        except UnknownPart:  # a run that chooses it is refused; other commands must work
            continue
        if kind.command:
            _add(commands, kind)


def _add(commands: Commands, kind: EnvironmentKind) -> None:
    """The commands of `kind`. Where a package's cannot be added, a command named like the environment says why,
    unless another command has this name."""
    try:
        resolve(kind.command)(commands)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a package may raise anything; its command says so
        why = f"the commands of the environment {kind.name} ({kind.command}) cannot be added: {error}"
        if kind.name not in commands.choices:
            add_command(commands, kind.name, "cannot be run: its package is broken", partial(_refuse, UnknownPart(why)))


def _refuse(error: UnknownPart, options: argparse.Namespace) -> int:
    raise error
