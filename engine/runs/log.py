"""The event log of a run in its database: one row an event, written in the same transaction as the projections.

log = Log(database)
log.append([(time.time(), Notice("info", "hello"))])
for stored in log.read(after=seen):
    print(stored.id, stored.event)
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from engine.core.events import AnyEvent, decode, encode, kind_of
from engine.runs import projections
from engine.runs.database import Database
from engine.runs.errors import RunError
from engine.runs.writer import Timed


class Stored(msgspec.Struct, frozen=True):
    """An event of the log: ids grow by one, `at` is the unix time in seconds when it was emitted."""

    id: int
    at: float
    event: AnyEvent


class Transaction:
    """One open write transaction of a run."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def append(self, *events: AnyEvent) -> None:
        """Add events, stamped with the present time."""
        now = time.time()
        _insert(self.connection, [(now, event) for event in events])


class Log:
    """The events of a run. Raises `RunError` where the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, batch: Sequence[Timed]) -> None:
        """Write events in one transaction."""
        with self._database.transaction() as connection:
            _insert(connection, batch)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Events and other rows, all or none."""
        with self._database.transaction() as connection:
            yield Transaction(connection)

    def read(self, after: int, limit: int | None, kinds: Sequence[str] | None, until: int | None) -> list[Stored]:
        """The events with `after` < id <= `until`, oldest first, at most `limit`, only of `kinds`."""
        where, values = _condition(after, until, kinds)
        return self._select(f"WHERE {where} ORDER BY id LIMIT ?", [*values, -1 if limit is None else limit])

    def tail(self, limit: int, kinds: Sequence[str] | None, until: int | None) -> list[Stored]:
        """The last `limit` events up to `until`, oldest first; a negative `limit` is none."""
        where, values = _condition(0, until, kinds)
        return self._select(f"WHERE {where} ORDER BY id DESC LIMIT ?", [*values, limit])[::-1]

    def last_id(self) -> int:
        """The id of the newest event; 0 when there is none."""
        return int(self._database.one("SELECT coalesce(max(id), 0) FROM events")[0])

    def _select(self, condition: str, values: Sequence[int | str]) -> list[Stored]:
        rows = self._database.all(f"SELECT id, at, data FROM events {condition}", values)
        return [self._stored(*row) for row in rows]

    def _stored(self, event_id: int, at: float, data: bytes) -> Stored:
        try:
            return Stored(event_id, at, decode(data))
        except msgspec.DecodeError as error:
            folder = self._database.path.parent
            raise RunError(
                f"event {event_id} of {folder} cannot be read: {error}; was it written by a newer skillos-tui?"
            ) from error


def _insert(connection: sqlite3.Connection, batch: Sequence[Timed]) -> None:
    """Insert events, and update the projections, inside the caller's write transaction."""
    first = int(connection.execute("SELECT coalesce(max(id), 0) + 1 FROM events").fetchone()[0])
    rows = [(first + i, at, kind_of(event), encode(event)) for i, (at, event) in enumerate(batch)]
    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
    for i, (at, event) in enumerate(batch):
        projections.apply(connection, first + i, at, event)


def _condition(after: int, until: int | None, kinds: Sequence[str] | None) -> tuple[str, list[int | str]]:
    where = "id > ?"
    values: list[int | str] = [after]
    if until is not None:
        where, values = f"{where} AND id <= ?", [*values, until]
    if kinds is not None:
        where, values = f"{where} AND kind IN ({', '.join('?' * len(kinds))})", [*values, *kinds]
    return where, values
