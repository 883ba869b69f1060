"""TOML files that a person wrote: what is wrong with one, and the line of each key.

text, values = read_toml(path)   # raises `TomlFault`: "line 3: Invalid value", and `OSError`
Lines(text)["colors.panel"]      # 9
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from itertools import accumulate
from pathlib import Path
from typing import Any

from engine.core.errors import SkillosError

STRING = r"""(?:"(?:\\.|[^"\\\n])*+"|'[^'\n]*+')"""
LONG_STRING = r"""(?:"{3}(?:\\.|[^\\])*?"{3}|'{3}.*?'{3})"""
PART = rf"(?:[\w-]++|{STRING})"
KEY = rf"{PART}(?:[ \t]*+\.[ \t]*+{PART})*+[ \t]*+"
TOKEN = rf"^[ \t]*+(?:\[\[?[ \t]*+(?P<table>{KEY})\]|(?P<key>{KEY})=)|{LONG_STRING}|{STRING}|\#[^\n]*+"
"""A table or a key at the beginning of a line, or what may have brackets and equals signs in it: a string, a comment."""
MAX_BYTES = 100_000
"""The most bytes of a person's file."""


class TomlFault(SkillosError):
    """A text that is no TOML; the message names the line and why."""


def read_toml(path: Path, limit: int = MAX_BYTES) -> tuple[str, dict[str, Any]]:
    """The text of a file of at most `limit` bytes, and its values. Raises `TomlFault` and `OSError`."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise TomlFault(f"it has more than {limit:,} bytes")
    try:
        text = data.decode("utf-8-sig")  # some editors begin a file with the mark of its encoding
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TomlFault(f"line {line}: it is not UTF-8 (byte {data[error.start]:#04x})") from error
    return text, loads(text)


def loads(text: str) -> dict[str, Any]:
    """The values of the text. Raises `TomlFault`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        why, _, at = str(error).rpartition(" (at ")  # "line 3, column 8)" or "end of document)"
        line = at.removeprefix("line ").partition(",")[0] if "line" in at else text.rstrip("\n").count("\n") + 1
        raise TomlFault(f"line {line}: {why}") from error
    except (RecursionError, ValueError) as error:
        rows = text.split("\n")
        line = 1 + bisect_left(range(len(rows) - 1), True, key=lambda row: _too_much("\n".join(rows[: row + 1])))
        raise TomlFault(f"line {line}: it nests too deep, or a number has too many digits") from error


def _too_much(text: str) -> bool:
    """Whether the text, which may end anywhere, has more than Python can read."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    except (RecursionError, ValueError):
        return True
    return False


class Lines(dict[str, int]):
    """The line, from 1, of each key and table of a text that `loads` takes, by its name with dots. A name that is not found
    has the line of the table that it is in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        table: list[str] = []
        line, counted = 1, 0
        for token in re.finditer(TOKEN, text, re.MULTILINE | re.DOTALL):
            line, counted = line + text.count("\n", counted, token.start()), token.start()
            if token["table"]:
                table = _parts(token["table"])
                self._add(table, line)
            elif token["key"]:
                self._add([*table, *_parts(token["key"])], line)

    def _add(self, parts: list[str], line: int) -> None:
        for name in accumulate(parts, "{}.{}".format):
            self.setdefault(name, line)

    def __missing__(self, name: str) -> int:
        while name and name not in self:
            name = name.rpartition(".")[0]
        return self.get(name, 1)


def _parts(key: str) -> list[str]:
    return [part[1:-1] if part[0] in "\"'" else part for part in re.findall(PART, key)]
