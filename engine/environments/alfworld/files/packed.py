"""Packed splits: one game per line, plain or xz, unpacked into a temporary file and read from it game by game.

    for game in packed_games(Path("train.jsonl.xz"), domain, grammar, library): ...

Only the offset of a game is kept in memory. The file has no name; the system deletes it with the last of its games.
"""

from __future__ import annotations

import lzma
import os
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.files.records import MAX_GAME, PackedGame, Text, check_id, decode
from engine.environments.alfworld.play.game import Content, Game
from engine.environments.alfworld.play.program import Library

MAX_LINES = 100_000
MAX_UNPACKED = 1_000_000_000


def packed_games(file: Path, domain: str, grammar: str, library: Library) -> Iterator[Game | GamesError]:
    """The games of a split in order, with an error for each invalid line. Raises `GamesError` for the temporary file."""
    spool = _Spool()
    number = 0
    try:
        with lzma.open(file) if file.suffix == ".xz" else file.open("rb") as stream:
            for number, line in enumerate(_lines(stream), 1):
                if line.strip():
                    yield _packed_game(line, f"{file}, line {number}", domain, grammar, spool, library)
    except (OSError, EOFError, lzma.LZMAError) as error:
        yield GamesError(f"{file}, after line {number}: cannot be read: {error}; expected JSON lines, or those in xz")


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines, each cut after `MAX_GAME` + 1 bytes. Raises `OSError` for more than `MAX_UNPACKED` or `MAX_LINES`."""
    unpacked = 0
    for _ in range(MAX_LINES):
        line = rest = stream.readline(MAX_GAME + 1)
        unpacked += len(line)
        while rest and not rest.endswith(b"\n") and unpacked <= MAX_UNPACKED:
            rest = stream.readline(MAX_GAME)
            unpacked += len(rest)
        if unpacked > MAX_UNPACKED:
            raise OSError(f"more than {MAX_UNPACKED:,} bytes unpacked")
        if not line:
            return
        yield line
    if stream.read(1):
        raise OSError(f"more than {MAX_LINES:,} lines")


def _packed_game(
    line: bytes, where: str, domain: str, grammar: str, spool: _Spool, library: Library
) -> Game | GamesError:
    if len(line) > MAX_GAME:
        return GamesError(f"{where}: has more than {MAX_GAME:,} bytes; expected one game")
    try:
        id = decode(line, PackedGame, where).id
        check_id(id, where)
    except GamesError as error:
        return error
    reader = _Reader(spool, spool.add(line), len(line), where, domain, grammar)
    return Game(id, where, reader, library, lambda: grammar)


class _Spool:
    """A temporary file without a name. One thread writes it; then any thread can read it."""

    def __init__(self) -> None:
        self._size = 0
        self._file = -1

    def add(self, data: bytes) -> int:
        """Append `data` and return its offset. Raises `GamesError`."""
        try:
            if self._file < 0:
                self._file, name = tempfile.mkstemp()
                weakref.finalize(self, os.close, self._file)
                Path(name).unlink()
            if os.write(self._file, data) < len(data):
                raise OSError("no room")
        except OSError as error:
            raise GamesError(
                f"{tempfile.gettempdir()}: games cannot be unpacked there: {error}; set TMPDIR to where there is room"
            ) from None
        self._size += len(data)
        return self._size - len(data)

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from the offset `start`."""
        return os.pread(self._file, length, start)


@dataclass(frozen=True, slots=True)
class _Reader:
    spool: _Spool
    start: int
    length: int
    where: str
    domain: str
    grammar: str

    def __call__(self) -> Content:
        record = decode(self.spool.read(self.start, self.length), PackedGame, self.where)
        problem = decode(record.pddl_problem, Text, f"{self.where}: pddl_problem")
        return Content(self.domain, self.grammar, problem, record.task, tuple(record.walkthrough))
