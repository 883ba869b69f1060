"""Paths that a person wrote, on the command line, in a setting or in a dialog: `~` and `~name` mean a home folder.

    user_path("~/games")                          # /home/ann/games
    user_path("./~games")                         # a folder of this strange name, as an absolute path
    parser.register("type", Path, argument_path)  # every argument of `type=Path` is then such a path

A path is expanded once, where it is read, and nowhere else.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from engine.core.errors import ConfigError, SkillosError
from engine.core.text import has_credentials

SECRET = (
    "has a password or token in it, and what a run is given is kept and shown; give a secret by an environment variable"
)


class BadPath(SkillosError):
    """A path that cannot be meant. The message does not quote what may be secret."""


def user_path(text: str) -> Path:
    """The path that `text` names. Raises `BadPath` for an empty one, an unknown user's home, and a URL with credentials."""
    if not text:
        raise BadPath("a path is expected, and it is empty")
    if has_credentials(text) and not os.path.lexists(text):
        raise BadPath(f"this path {SECRET}")
    if "\0" in text:
        raise BadPath("a path cannot have a null character in it")
    expanded = os.path.expanduser(text)  # noqa: PTH111 - a Path would forget the "./" of "./~games"
    if text.startswith("~") and expanded == text:
        raise BadPath(f"{text.partition('/')[0]} has no home folder; ./{text} is a file of this name")
    path = Path(expanded)
    return path.absolute() if path.parts and path.parts[0].startswith("~") else path


def kept_path(path: Path) -> Path:
    """`path` as an absolute one that a run can keep as text. Raises `BadPath` for a name that is not UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise BadPath(f"{path} is not UTF-8, and a run keeps its paths as text; rename it") from error
    return path.absolute()


def argument_path(text: str) -> Path:
    """`user_path` as argparse's type of an argument."""
    try:
        return user_path(text)
    except BadPath as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run_argument(text: str) -> str:
    """The type of an argument that names a run: by a path, or by a name, which stays as it is."""
    path = argument_path(text)
    return str(path) if text.startswith("~") or path.is_absolute() else text


def split_step(source: str) -> tuple[Path, int | None]:
    """The run's directory and the step of `RUN@STEP`; a step of None for what has none. What exists under this very name has
    no step. Raises `ConfigError` for a step that is no number."""
    run, at, step = source.rpartition("@")
    if not at or "/" in step or not run or os.path.lexists(source):
        return Path(source), None
    if not (step.isascii() and step.isdecimal()):
        raise ConfigError(f"{source!r} has no step after the @: write RUN@20 for the checkpoint of step 20")
    return Path(run), int(step)
