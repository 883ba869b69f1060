"""Which edits people have open: leases that workbenches hold, so that the queue and the policies leave those edits alone.

    lease = Lease(run, by="ann")
    lease.open("e3")                     # when it is shown, and again every `RENEW_SECONDS` while it is
    lease.close()                        # when it is shown no more

    open_edits(connection)               # {"e3"}: inside a transaction of the queue
    Opened.of(run).seconds("e3", since, now)

A lease is a row of the run's database that ends `LEASE_SECONDS` after it was renewed last, so that of a killed workbench
ends by itself. The engine only reads them and never waits for one. The table is made by the first lease: nothing of the log
depends on it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Self

import msgspec

from engine.core.edit import OPEN
from engine.runs.directory import Run

LEASE_SECONDS = 60.0
"""How long an edit stays open after its workbench last said so."""
RENEW_SECONDS = 20.0
"""How often a workbench renews its lease."""

_TABLE = """
CREATE TABLE IF NOT EXISTS opened (
    id INTEGER PRIMARY KEY, edit TEXT NOT NULL, by TEXT NOT NULL, since REAL NOT NULL, until REAL NOT NULL
)
"""


class Lease:
    """The lease of one workbench on one run; it has at most one edit open. Its methods block."""

    def __init__(self, run: Run, by: str) -> None:
        self._run = run
        self._by = by
        self._row: tuple[int, str] | None = None
        """The id of the row of the edit that is open, and the edit's id."""

    def open(self, edit_id: str) -> bool:
        """Open an edit, or renew its lease; another edit that was open is closed. False where the edit is decided.

        Writes nothing for a decided edit. Raises `RunError`, also where the run can only be read.
        """
        now = time.time()
        with self._run.db.transaction() as connection:
            found = connection.execute("SELECT state FROM edits WHERE edit = ?", [edit_id]).fetchone()
            waits = found is not None and found[0] in OPEN
            if self._row is not None and (self._row[1] != edit_id or not waits):
                self._end(connection, now)
            if waits and not self._renewed(connection, now):
                connection.execute(_TABLE)
                connection.execute(f"DELETE FROM opened WHERE edit NOT IN ({_WAITING})")
                values = (edit_id, self._by, now, now + LEASE_SECONDS)
                made = connection.execute("INSERT INTO opened (edit, by, since, until) VALUES (?, ?, ?, ?)", values)
                self._row = int(made.lastrowid or 0), edit_id
        return waits

    def close(self) -> None:
        """Close the edit that is open. Raises `RunError`."""
        if self._row is not None:
            with self._run.db.transaction() as connection:
                self._end(connection, time.time())

    def _renewed(self, connection: sqlite3.Connection, now: float) -> bool:
        if self._row is None:
            return False
        renewal = (now + LEASE_SECONDS, self._row[0], now)
        return connection.execute("UPDATE opened SET until = ? WHERE id = ? AND until > ?", renewal).rowcount > 0

    def _end(self, connection: sqlite3.Connection, now: float) -> None:
        if self._row is not None:
            connection.execute("UPDATE opened SET until = min(until, ?) WHERE id = ?", (now, self._row[0]))
        self._row = None


class Opened(msgspec.Struct, frozen=True):
    """When the edits that wait were open: (edit, since, until) of each lease, in unix seconds."""

    leases: Sequence[tuple[str, float, float]] = ()

    @classmethod
    def of(cls, run: Run) -> Self:
        """The leases of a run. Raises `RunError`."""
        return run.db.read(cls.read)

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> Self:
        """The leases, inside the caller's transaction."""
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'opened'").fetchone():
            return cls()
        return cls(connection.execute("SELECT edit, since, until FROM opened ORDER BY since").fetchall())

    def now(self, now: float) -> set[str]:
        """The edits that are open at the time `now`. A lease that ends later than one can is of a clock that was changed."""
        return {edit for edit, _, until in self.leases if 0 < until - now <= LEASE_SECONDS}

    def seconds(self, edit: str, since: float, now: float) -> float:
        """How long an edit was open between two times, by anyone."""
        total, end = 0.0, since
        for other, begun, until in self.leases:
            if other == edit:
                total += max(0.0, min(until, now) - max(begun, end))
                end = max(end, min(until, now))
        return total


def open_edits(connection: sqlite3.Connection) -> set[str]:
    """The edits that are open now, inside the caller's transaction."""
    return Opened.read(connection).now(time.time())


_WAITING = f"SELECT edit FROM edits WHERE state IN ({', '.join(repr(state) for state in sorted(OPEN))})"
