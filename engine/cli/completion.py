"""`completion`: print the script that completes commands and options in a shell.

eval "$(skillos-engine completion bash)"
"""

from __future__ import annotations

import argparse

from engine.cli.common import Commands, add_command
from engine.core.output import say_script
from engine.core.shell_completion import SHELLS, script


def add_commands(commands: Commands) -> None:
    completion = add_command(commands, "completion", "print the script that completes commands in a shell", _completion)
    completion.add_argument("shell", choices=SHELLS)


def _completion(options: argparse.Namespace) -> int:
    say_script(script(options.whole_parser(), options.shell))
    return 0
