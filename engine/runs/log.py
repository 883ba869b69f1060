"""The event log of a run in its database: one row an event, written in the same transaction as the projections.

    log = Log(database)
    log.append([(time.time(), Notice("info", "hello"))])
    for stored in log.stream(after=seen):
        print(stored.id, stored.event)

Each row has a checksum that follows from the row before (`engine.runs.chain`). It is computed inside the transaction, since
engine, command line and workbench all write. Reading never fails on an event: one that cannot be read is an `Unreadable`.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from engine.core.events import AnyEvent, Unreadable, encode, kind_of, read
from engine.runs import projections
from engine.runs.chain import COLUMNS, Row, event_sum, start_of
from engine.runs.database import Database
from engine.runs.writer import Timed

PAGE = 1_000
"""Events that a stream reads at once, at most."""
PAGE_BYTES = 4_000_000
"""A stream reads no more of a page after so many bytes of events."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """An event of the log: ids grow by one, `at` is the unix time in seconds when it was emitted; NaN where that cannot be
    read."""

    id: int
    at: float
    event: AnyEvent | Unreadable


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

    def rows(self, after: int, kinds: Sequence[str] | None, until: int | None) -> Iterator[list[Row]]:
        """The rows with `after` < id <= `until`, oldest first, in pages. `until` is by default the last id at the beginning.

        No transaction is open between two pages.
        """
        until = self.last_id() if until is None else until
        while page := self._page(after, kinds, until):
            yield page
            after = page[-1].id

    def stream(self, after: int, kinds: Sequence[str] | None, until: int | None) -> Iterator[Stored]:
        """The events of `rows`, one by one."""
        for page in self.rows(after, kinds, until):
            yield from map(stored_of, page)

    def tail(self, limit: int, kinds: Sequence[str] | None, until: int | None) -> list[Stored]:
        """The last `limit` events up to `until`, oldest first; a negative `limit` is none."""
        where, values = _condition(0, until, kinds)
        return self._select(f"WHERE {where} ORDER BY id DESC LIMIT ?", [*values, limit])[::-1]

    def pick(self, ids: Sequence[int]) -> list[Stored]:
        """The events of these ids, oldest first; those that the log does not have are left out."""
        return self._select(f"WHERE id IN ({', '.join('?' * len(ids))}) ORDER BY id", list(ids))

    def last_id(self) -> int:
        """The id of the newest event; 0 when there is none."""
        return int(self._database.one("SELECT coalesce(max(id), 0) FROM events")[0])

    def _page(self, after: int, kinds: Sequence[str] | None, until: int) -> list[Row]:
        where, values = _condition(after, until, kinds)
        sql = f"SELECT {COLUMNS} FROM events WHERE {where} ORDER BY id LIMIT {PAGE}"

        def read_page(connection: sqlite3.Connection) -> list[Row]:
            page: list[Row] = []
            size = 0
            rows = connection.execute(sql, values)
            for values_of_row in rows:
                page.append(row := Row(*values_of_row))
                size += len(row.data or b"")
                if size > PAGE_BYTES:
                    break
            rows.close()
            return page

        return self._database.read(read_page)

    def _select(self, condition: str, values: Sequence[int | str]) -> list[Stored]:
        rows = self._database.all(f"SELECT {COLUMNS} FROM events {condition}", values)
        return [stored_of(Row(*row)) for row in rows]


def stored_of(row: Row) -> Stored:
    """The event of a row, with its id and time."""
    return Stored(row.id, math.nan if row.at is None else row.at, read_row(row))


def read_row(row: Row) -> AnyEvent | Unreadable:
    """The event of a row, or why it cannot be read."""
    return read(row.kind or b"", row.data or b"")


def _insert(connection: sqlite3.Connection, batch: Sequence[Timed]) -> None:
    """Insert events, and update the projections, inside the caller's write transaction."""
    newest = connection.execute("SELECT id, CAST(sum AS BLOB) FROM events ORDER BY id DESC LIMIT 1").fetchone()
    last, sum_ = newest or (0, start_of(connection))
    rows = []
    for event_id, (at, event) in enumerate(batch, last + 1):
        kind, data = kind_of(event), encode(event)
        sum_ = event_sum(sum_ or b"", event_id, at, kind.encode(), data)
        rows.append((event_id, at, kind, data, sum_))
    connection.executemany("INSERT INTO events (id, at, kind, data, sum) VALUES (?, ?, ?, ?, ?)", rows)
    for event_id, (at, event) in enumerate(batch, last + 1):
        projections.apply(connection, event_id, at, event)
    projections.note_last(connection, last + len(rows))


def _condition(after: int, until: int | None, kinds: Sequence[str] | None) -> tuple[str, list[int | str]]:
    where = "id > ?"
    values: list[int | str] = [after]
    if until is not None:
        where, values = f"{where} AND id <= ?", [*values, until]
    if kinds is not None:
        where, values = f"{where} AND kind IN ({', '.join('?' * len(kinds))})", [*values, *kinds]
    return where, values
