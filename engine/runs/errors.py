"""What can go wrong with a run on disk. Each message says what happened, where, and what to do."""

from __future__ import annotations

import shlex
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
_DAMAGED = {
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_ERROR,  # a table or column that is missing, a text that is no UTF-8
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
}


class RunError(SkillosError):
    """Something about a run's directory that keeps it from being used; shown to the user as it is."""


class NotARun(RunError):
    """The path does not hold a run that this version can read."""


class DamagedRun(NotARun):
    """The run's database holds something that cannot be read; `place` names it, `why` says what is wrong with it.

    Other rows and other runs are not concerned. `newer`: a newer version may have written it.
    """

    def __init__(self, run: Path, place: str, why: str, *, newer: bool = False) -> None:
        self.run, self.place, self.why = run, place, why
        repair = f"repair it: skillos-engine repair {shlex.quote(str(run))}"
        upgrade = ", or upgrade skillos-tui if a newer version wrote it" if newer else ""
        super().__init__(f"{run} is damaged: {place} cannot be read: {why}; {repair}{upgrade}")

    @property
    def short(self) -> str:
        """The place and what is wrong with it, for where the run is named already."""
        return f"{self.place} cannot be read: {self.why}"


class ReadOnlyRun(RunError):
    """Something would have written to a run that can only be read."""

    def __init__(self, run: Path, why: str) -> None:
        super().__init__(f"{run} can only be read: {why}; nothing was changed")


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


class Busy(WriteFailed):
    """Another process kept the database locked for `BUSY_SECONDS`."""


@contextmanager
def translate_errors(path: Path, waited: float = BUSY_SECONDS) -> Iterator[None]:
    """Turn errors about the database at `path`, of SQLite or of what it holds, into a `RunError` that says what to do.

    `waited` is how long, in seconds, the connection waits for the write lock.
    """
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _translate(error, path, waited) from error
    except (msgspec.DecodeError, OverflowError, UnicodeDecodeError) as error:  # Python converts values and messages
        raise DamagedRun(path.parent, path.name, str(error)) from error


def _translate(error: Exception, path: Path, waited: float) -> RunError:
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
        return Busy(
            f"{path} was kept locked by another process for {waited:g} s; "
            "look for a suspended skillos process and continue or end it"
        )
    if code in _DAMAGED:
        return DamagedRun(path.parent, path.name, str(error))
    return RunError(f"{path}: {error}")
