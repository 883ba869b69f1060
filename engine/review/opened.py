"""Which edits people have open: leases that workbenches hold, so that the queue and the policies leave those edits alone.

    lease = Lease(run, by="ann")
    lease.open("e3")                     # when it is shown, and again every `RENEW_SECONDS` while it is
    lease.open("e4", "e3")               # another one is shown, and a decision on e3 has been sent and is not written yet
    lease.close()                        # when none is

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
    """The leases of one workbench on one run. Its methods block."""

    def __init__(self, run: Run, by: str) -> None:
        self._run = run
        self._by = by
        self._rows: dict[str, int] = {}
        """The id of the row of each edit that is open."""

    def open(self, *edits: str) -> set[str]:
        """Open these edits, or renew their leases; others that were open are closed. Returns those that wait: nothing is
        written for a decided one. Raises `RunError`, also where the run can only be read.
        """
        now = time.time()
        with self._run.db.transaction() as connection:
            waiting = {edit for (edit,) in connection.execute(_WAITING)}.intersection(edits)
            for edit in self._rows.keys() - waiting:
                connection.execute("UPDATE opened SET until = min(until, ?) WHERE id = ?", (now, self._rows.pop(edit)))
            new = [edit for edit in edits if edit in waiting and not self._renewed(connection, edit, now)]
            if new:
                connection.execute(_TABLE)
                connection.execute(f"DELETE FROM opened WHERE edit NOT IN ({_WAITING})")
            for edit in dict.fromkeys(new):
                values = (edit, self._by, now, now + LEASE_SECONDS)
                made = connection.execute("INSERT INTO opened (edit, by, since, until) VALUES (?, ?, ?, ?)", values)
                self._rows[edit] = int(made.lastrowid or 0)
        return waiting

    def close(self) -> None:
        """Close the edits that are open. Raises `RunError`."""
        if self._rows:
            self.open()

    def _renewed(self, connection: sqlite3.Connection, edit: str, now: float) -> bool:
        if edit not in self._rows:
            return False
        renewal = (now + LEASE_SECONDS, self._rows[edit], now)
        return connection.execute("UPDATE opened SET until = ? WHERE id = ? AND until > ?", renewal).rowcount > 0


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
