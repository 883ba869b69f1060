"""The SQLite file of a run: its schema and its connections.

WAL, so that a reader never blocks a writer; `synchronous=NORMAL`, so that a commit costs no fsync and a crash of the
process loses nothing that was committed (a power cut may lose the last commits, never the file); waits for the write
lock are bounded. Connections are borrowed from a small pool, so any thread may use a `Database`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.runs.errors import BUSY_SECONDS, NotARun, translate_errors
from engine.runs.migration import SCHEMA_VERSION, migrate
from engine.runs.projections import TABLES as PROJECTIONS

APPLICATION_ID = 0x534B696C  # "SKil"

SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE run (id TEXT NOT NULL, kind TEXT NOT NULL, created REAL NOT NULL, repo TEXT);
CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX events_by_kind ON events (kind, id);
CREATE TABLE commands (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, by TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE decisions (
    edit TEXT NOT NULL, round INTEGER NOT NULL, action TEXT NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL,
    at REAL NOT NULL, token TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (edit, round)
);
{PROJECTIONS}
"""


def create(path: Path, run_id: str, kind: str, created: float, repo: str | None) -> None:
    """Make a new run database at `path`, which must not exist. Raises `RunError`."""
    with translate_errors(path):
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            connection.execute("INSERT INTO run VALUES (?, ?, ?, ?)", (run_id, kind, created, repo))
        finally:
            connection.close()


class Database:
    """An open run database, migrated to the present schema. Raises `NotARun` when the file is something else, damaged, or
    of a newer schema, and `RunError` when it cannot be migrated now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wait = BUSY_SECONDS
        self._idle: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._watcher: sqlite3.Connection | None = None
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def wait(self, seconds: float) -> None:
        """Wait up to `seconds` for the write lock from now on, instead of `BUSY_SECONDS`."""
        self._wait = seconds
        self.close()

    def _check(self) -> None:
        if self.one("PRAGMA application_id")[0] != APPLICATION_ID:
            raise NotARun(f"{self.path} is a database, but not of a run; give the directory of a run")
        with self.borrow() as connection:
            migrate(connection, self.path.parent)

    @contextmanager
    def borrow(self) -> Iterator[sqlite3.Connection]:
        """A connection for the caller alone, until the block ends."""
        with self._guard:
            connection = self._idle.pop() if self._idle else None
        with translate_errors(self.path, self._wait):
            connection = connection or self._connect()
            try:
                yield connection
            finally:
                with self._guard:
                    self._idle.append(connection)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: committed when the block ends, rolled back when it raises."""
        with self.borrow() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        with self.borrow() as connection:
            return connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first row of a query, or None."""
        with self.borrow() as connection:
            return connection.execute(sql, parameters).fetchone()

    def data_version(self) -> int:
        """A number that changes whenever anyone, this process included, has committed."""
        with self._guard, translate_errors(self.path):
            self._watcher = self._watcher or self._connect()
            return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Close the connections that no thread uses; the database may be used again and opens new ones."""
        with self._guard:
            connections = [*self._idle, *([self._watcher] if self._watcher else [])]
            self._idle, self._watcher = [], None
        for connection in connections:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self._wait,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection
