"""What can go wrong with a run on disk. Each message says what happened, where, and what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from engine.core.errors import SkillosError

BUSY_SECONDS = 10.0
"""How long a person's command waits for the write lock of a database."""
ENGINE_BUSY_SECONDS = 120.0
"""How long an engine waits for it: a backup or a suspended process delays a run, and does not end it."""

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_DENIED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_DAMAGED = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}


class RunError(SkillosError):
    """Something about a run's directory that keeps it from being used; shown to the user as it is."""


class NotARun(RunError):
    """The path does not hold a run that this version can read."""


class RunExists(RunError):
    """A run cannot be created where something is already."""


class RunLocked(RunError):
    """Another engine works on the run."""


class RunGone(RunError):
    """The run's directory was deleted, moved or taken over while its engine worked. Nothing is written to its path any more.

    `moved` is True where the directory is elsewhere now, with its database.
    """

    def __init__(self, message: str, moved: bool) -> None:
        super().__init__(message)
        self.moved = moved


class WriteFailed(RunError):
    """The run's database could not be written (no space, no permission). What was committed before is safe."""


@contextmanager
def translate_errors(path: Path, waited: float = BUSY_SECONDS) -> Iterator[None]:
    """Turn errors about the database at `path`, of SQLite or of what it holds, into a `RunError` that says what to do.

    `waited` is how long, in seconds, the connection waits for the write lock.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, path, waited) from error
    except msgspec.DecodeError as error:
        raise RunError(f"{path} cannot be read: {error}; was it written by a newer skillos-tui?") from error


def _translate(error: sqlite3.Error, path: Path, waited: float) -> RunError:
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    code = extended & 0xFF
    if code in _FULL:
        return WriteFailed(
            f"cannot use {path}: {error}. The disk is probably full or failing; free some space. "
            "Everything written before is safe"
        )
    if code in _DENIED:
        return WriteFailed(f"cannot use {path}: {error}. Check that you may write to this file and to its folder")
    if code == sqlite3.SQLITE_BUSY:
        return WriteFailed(
            f"{path} was kept locked by another process for {waited:g} s; "
            "look for a suspended skillos process and continue or end it"
        )
    if code in _DAMAGED:
        return NotARun(f"{path} is damaged or is not a run's database: {error}")
    return RunError(f"{path}: {error}")
