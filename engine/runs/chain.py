"""The checksums of a run's log: each event's covers its row and the checksum before, so that a change is found.

    sum_ = event_sum(before, 7, at, b"notice", data)          # of event 7; `before` is the checksum of event 6
    chain = Chain(run_sum("r1", "train", created, None))      # event 1 follows the row of table `run`
    if fault := chain.take(row):
        print(fault)

A checksum is BLAKE2b of 16 bytes. It finds faults of disks, programs and hand edits. It is no signature: who writes a whole
log anew can compute the checksums, too.
"""

from __future__ import annotations

import sqlite3
import struct
from hashlib import blake2b

import msgspec

SUM_BYTES = 16
BATCH = 5_000
"""Events that are read at a time."""
_HEAD = struct.Struct("<IqdII")
_encode = msgspec.msgpack.Encoder().encode


class Row(msgspec.Struct, frozen=True, gc=False):
    """An event as it is stored, before it is decoded. What is no value of the column's type is None."""

    id: int
    at: float | None
    kind: bytes | None
    data: bytes | None
    sum: bytes | None


COLUMNS = "id, CASE typeof(at) WHEN 'real' THEN at END, CAST(kind AS BLOB), CAST(data AS BLOB), CAST(sum AS BLOB)"
"""The columns of `events` as the fields of a `Row`: SQLite decodes no text, so nothing can fail."""


def run_sum(run_id: str, kind: str, created: float, repo: str | None) -> bytes:
    """The checksum of the row of table `run`."""
    return blake2b(_encode((run_id, kind, created, repo)), digest_size=SUM_BYTES).digest()


def event_sum(before: bytes, event_id: int, at: float, kind: bytes, data: bytes) -> bytes:
    """The checksum of an event that follows an event, or the row of the run, with the checksum `before`."""
    head = _HEAD.pack(len(before), event_id, at, len(kind), len(data))
    return blake2b(b"".join((head, before, kind, data)), digest_size=SUM_BYTES).digest()


class Chain:
    """A walk through the rows of a log, oldest first. It begins with the checksum of the row of the run: as it is stored,
    and as it should be."""

    def __init__(self, *start: bytes) -> None:
        self._before = [*start]
        self._last = 0

    def take(self, row: Row) -> str:
        """What is wrong with the next row: one sentence, "" where nothing is."""
        gap = row.id - self._last - 1
        computed = [sum_ for before in self._before if (sum_ := _sum_after(before, row)) is not None]
        follows = row.sum in computed
        self._before = [row.sum or b""]
        first, self._last = self._last + 1, row.id
        if gap:
            return f"event {first} is missing" if gap == 1 else f"events {first} to {row.id - 1} are missing"
        if follows:
            return ""
        self._before += computed  # where only the checksum was changed, the next event follows what it should be
        return f"event {row.id} is not what was written: its checksum does not follow from that of event {row.id - 1}"


def start_of(connection: sqlite3.Connection) -> bytes:
    """The checksum that event 1 follows, as it is stored."""
    found = connection.execute("SELECT CAST(sum AS BLOB) FROM run").fetchone()
    return (found and found[0]) or b""


def rechain(connection: sqlite3.Connection) -> None:
    """Compute every checksum of a log that has none, inside the caller's transaction."""
    run = connection.execute("SELECT id, kind, created, repo FROM run").fetchone()
    before, last = run_sum(*run) if run else b"", 0
    connection.execute("UPDATE run SET sum = ?", (before,))
    page = f"SELECT {COLUMNS} FROM events WHERE id > ? ORDER BY id LIMIT {BATCH}"
    while rows := [Row(*values) for values in connection.execute(page, (last,))]:
        sums = []
        for row in rows:
            before = _sum_after(before, row) or b""
            sums.append((before, row.id))
        connection.executemany("UPDATE events SET sum = ? WHERE id = ?", sums)
        last = rows[-1].id


def _sum_after(before: bytes, row: Row) -> bytes | None:
    """The checksum that the row should have; None where a value is missing."""
    if row.at is None or row.kind is None or row.data is None:
        return None
    return event_sum(before, row.id, row.at, row.kind, row.data)
