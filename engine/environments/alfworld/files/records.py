"""The records of game files, and the limits of their sizes.

The limits are far above the official games (3,553 in a split, files of 0.14 MB, texts of 105,000 characters).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from engine.environments.alfworld.errors import GamesError

MAX_GAME = 4_000_000
MAX_TEXT = 1_000_000
MAX_TASK = 1_000
MAX_ID = 300
Id = Annotated[str, msgspec.Meta(max_length=MAX_ID)]
Task = Annotated[str, msgspec.Meta(max_length=MAX_TASK)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
T = TypeVar("T")


class PackedGame(msgspec.Struct, frozen=True):
    """A line of a packed split. The problem is kept as raw JSON."""

    id: Id
    task: Task
    walkthrough: list[str]
    pddl_problem: msgspec.Raw


class OfficialGame(msgspec.Struct, frozen=True):
    """A `game.tw-pddl`."""

    pddl_domain: Text
    grammar: Text
    pddl_problem: Text
    walkthrough: list[str] = []
    solvable: bool = True


def decode(data: bytes | msgspec.Raw, kind: type[T], where: str) -> T:
    """Decode the JSON `data` as `kind`. Raises `GamesError` with the expected form."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        broken = "" if isinstance(error, msgspec.ValidationError) else "broken JSON: "
        fields = getattr(kind, "__struct_fields__", ())
        expected = f"an object with {', '.join(fields)}" if fields else f"text of up to {MAX_TEXT:,} characters"
        raise GamesError(f"{where}: {broken}{error}; expected {expected}") from None


def check_id(id: str, where: str) -> None:
    """Raise `GamesError` for an id that cannot be printed on a terminal or used as a path."""
    if not id.isprintable() or any(part.strip() in ("", ".", "..") for part in id.split("/")):
        raise GamesError(
            f"{where}: the id {id!r} is none; expected printable names between /, and no . or .. among them"
        )


def read_text(file: Path, why: str) -> str:
    """The text of a file, with invalid UTF-8 replaced. Raises `GamesError`; `why` says what the file is needed for."""
    try:
        if not file.is_file():
            raise FileNotFoundError("no such file")
        with file.open(encoding="utf-8", errors="replace") as stream:
            text = stream.read(MAX_TEXT + 1)
    except OSError as error:
        raise GamesError(f"{file}: cannot be read ({error}); {why}") from None
    if len(text) > MAX_TEXT:
        raise GamesError(f"{file}: has more than {MAX_TEXT:,} characters; {why}")
    return text
