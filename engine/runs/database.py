"""The SQLite file of a run: its schema and its connections.

WAL, so that a reader never blocks a writer; `synchronous=NORMAL`, so that a commit costs no fsync and a crash of the
process loses nothing that was committed (a power cut may lose the last commits, never the file); waits for the write
lock are bounded. Connections are borrowed from a small pool, so any thread may use a `Database`.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from engine.runs import access
from engine.runs.access import Access
from engine.runs.chain import run_sum
from engine.runs.errors import (
    BUSY_SECONDS,
    Busy,
    DamagedRun,
    NotARun,
    ReadOnlyRun,
    RunError,
    WriteFailed,
    translate_errors,
)
from engine.runs.migration import SCHEMA_VERSION, migrate
from engine.runs.projections import TABLES as PROJECTIONS

APPLICATION_ID = 0x534B696C  # "SKil"
REPAIRED = "run.db.repaired"
"""A repaired database that is about to replace run.db (`engine.runs.repair`)."""
READ_ATTEMPTS = 5
T = TypeVar("T")

SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE run (
    id TEXT NOT NULL, kind TEXT NOT NULL, created REAL NOT NULL, repo TEXT, sum BLOB NOT NULL DEFAULT x''
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, data BLOB NOT NULL, sum BLOB NOT NULL DEFAULT x''
);
CREATE INDEX events_by_kind ON events (kind, id);
CREATE TABLE commands (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, by TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE reconciled (only INTEGER PRIMARY KEY CHECK (only = 1), head TEXT NOT NULL);
{PROJECTIONS}
"""


def create(path: Path, run_id: str, kind: str, created: float, repo: str | None) -> None:
    """Make a new run database at `path`, which must not exist. Raises `RunError`."""
    with translate_errors(path):
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            row = (run_id, kind, created, repo)
            connection.execute("INSERT INTO run VALUES (?, ?, ?, ?, ?)", (*row, run_sum(*row)))
        finally:
            connection.close()


class Database:
    """An open run database of the present schema: it is migrated, or where it may not be written a private copy of it.

    `read_only` is "" or the reason why it can only be read. Raises `NotARun` when the file is something else, damaged, or of
    a newer schema, and `RunError` when it cannot be migrated or read now.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._access = Access(path)
        self._forget: Callable[[], object] = int
        self._renewing = threading.RLock()
        self._wait = BUSY_SECONDS
        self._idle: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._watcher: sqlite3.Connection | None = None
        try:
            self._use(access.find(path))
            self._check()
        except BaseException:
            self.close()
            raise

    @property
    def read_only(self) -> str:
        """Why the database can only be read; "" where it may be written."""
        return self._access.read_only

    @property
    def copied(self) -> bool:
        """Whether a private copy is read."""
        return self._access.copied

    def wait(self, seconds: float) -> None:
        """Wait up to `seconds` for the write lock from now on, instead of `BUSY_SECONDS`."""
        self._wait = seconds
        self.close()

    def _check(self) -> None:
        """Migrate the database. Where that or the first read needs to write and cannot, read it in another way."""
        try:
            self._migrate()
        except Busy:
            raise
        except WriteFailed as error:
            if not self.read_only:
                self._use(access.to_read(self.path, access.why_failed(self.path, error.__cause__ or error)))
            elif not self.copied:
                self._use(access.to_copy(self.path, self.read_only))
            else:
                raise
            self._check()

    def _migrate(self) -> None:
        self._check_application()
        if self.read_only and not self.copied and self.one("PRAGMA user_version")[0] < SCHEMA_VERSION:
            self._use(access.to_copy(self.path, self.read_only))
        if self.read_only and not self.copied:
            return
        with self.borrow() as connection:
            try:
                migrate(connection, self._access.file.parent)
            except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
                why = f"an event of an earlier version cannot be migrated: {type(error).__name__}: {error}"
                raise DamagedRun(self.path.parent, self.path.name, why) from error

    def _check_application(self) -> None:
        """Raise `NotARun` for a database of something else, and `DamagedRun` for one that has the tables of a run."""
        if self.one("PRAGMA application_id")[0] == APPLICATION_ID:
            return
        if self.path.stat().st_size == 0:
            raise DamagedRun(self.path.parent, self.path.name, "it is empty")
        if self.one("SELECT 1 FROM sqlite_master WHERE name = 'events'"):
            raise DamagedRun(self.path.parent, self.path.name, "its application id is not that of a run")
        raise NotARun(f"{self.path} is a database, but not of a run; give the directory of a run")

    def _use(self, found: Access) -> None:
        """Take another access; connections of the one before are closed when they are given back."""
        self.close()
        self._forget()
        self._access = found
        self._forget = weakref.finalize(self, found.forget)

    def _renew(self) -> None:
        """Find the access again where somebody has written since, so that no stale page is read."""
        with self._renewing:
            if access.changed(self._access, self.path):
                self._use(access.to_read(self.path, self.read_only))
                self._check()

    @contextmanager
    def borrow(self) -> Iterator[sqlite3.Connection]:
        """A connection for the caller alone, until the block ends."""
        with self._guard:
            used = self._access
            connection = self._idle.pop() if self._idle else None
        with translate_errors(self.path, self._wait):
            connection = connection or _connect(used, self._wait)
            try:
                yield connection
            finally:
                with self._guard:
                    kept = used is self._access
                    if kept:
                        self._idle.append(connection)
                if not kept:
                    connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: committed when the block ends, rolled back when it raises. Raises `ReadOnlyRun`."""
        self.check_writable()
        with self.borrow() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def check_writable(self) -> None:
        """Raise `ReadOnlyRun` where the database can only be read."""
        if self.read_only:
            raise ReadOnlyRun(self.path.parent, self.read_only)

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        return self.read(lambda connection: connection.execute(sql, parameters).fetchall())

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first row of a query, or None."""
        return self.read(lambda connection: connection.execute(sql, parameters).fetchone())

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """What `query` reads; it is called again where a file that nobody was to write was written meanwhile."""
        for attempt in range(READ_ATTEMPTS):
            if self.read_only:
                self._renew()
            used = self._access
            try:
                with self.borrow() as connection:
                    found = query(connection)
            except DamagedRun:
                if attempt == READ_ATTEMPTS - 1 or not self._written_since(used):
                    raise
                continue
            if not self._written_since(used):
                return found
        raise RunError(f"{self.path} is written all the time; try again later")

    def _written_since(self, used: Access) -> bool:
        return used.immutable and access.marks_of(self.path) != used.marks

    def data_version(self) -> int:
        """A number that changes whenever anyone, this process included, has committed."""
        if self.read_only:
            self._renew()
            if self._access.immutable or self.copied:
                return hash(access.marks_of(self.path))
        with self._guard, translate_errors(self.path):
            self._watcher = self._watcher or _connect(self._access, self._wait)
            return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Close the connections that no thread uses; the database may be used again and opens new ones."""
        with self._guard:
            connections = [*self._idle, *([self._watcher] if self._watcher else [])]
            self._idle, self._watcher = [], None
        for connection in connections:
            connection.close()


def _connect(to: Access, wait: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{to.file.absolute().as_uri()}?{to.options}",
        uri=True,
        timeout=wait,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = text_or_bytes
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
    except (sqlite3.Error, UnicodeDecodeError):
        connection.close()
        raise
    return connection


def text_or_bytes(data: bytes) -> str | bytes:
    """A text value; its bytes where it is no UTF-8, so that only its own row is damaged."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data
