"""The script that completes a program's commands and options in a shell.

    print(script(parser, "bash"))             # eval "$(skillos-engine completion bash)"

An argument that takes a `Path`, or names a run, is completed with files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.core.paths import run_argument

SHELLS = ("bash", "zsh", "fish")


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script of `parser`, whose `prog` is the program's name, for one of `SHELLS`."""
    import shtab

    _complete_files(parser, shtab.FILE)
    return str(shtab.complete(parser, shell))


def _complete_files(parser: argparse.ArgumentParser, file: object) -> None:
    for action in parser._actions:
        if action.type in (Path, run_argument):
            action.complete = file  # type: ignore[attr-defined]
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                _complete_files(child, file)
