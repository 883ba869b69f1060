"""Copies what can be read of a damaged run database into a new one, row by row where SQLite refuses whole pages.

    salvaged = salvage(work / "run.db", draft)      # `draft` is a new database of the present schema, without derived rows

The events are copied as they are stored, with their checksums, so that `verify` still finds those that were changed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from engine.core.events import RunStarted, read
from engine.runs import database, migration, rows
from engine.runs.access import beside
from engine.runs.chain import run_sum
from engine.runs.errors import NotARun
from engine.runs.rows import RunRow

CHUNK = 5_000
"""Events that are copied at once where nothing is damaged."""
ROW_BYTES = 16
"""No event takes fewer bytes of the file, so a greater id than its size allows is damaged."""
DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError, OverflowError)
PAGE_BYTES = 4096
ROWS_PAGE = b"\r"
"""The first byte of a page of SQLite that holds rows."""


class Salvaged(msgspec.Struct, frozen=True):
    """How many events were copied, the ids of those that were lost (first, last), and what was replaced in the run's row."""

    events: int
    lost: list[tuple[int, int]]
    notes: list[str]


def salvage(damaged: Path, draft: Path, folder: Path) -> Salvaged:
    """Copy what can be read of the database `damaged`, which may be changed, into a new database at `draft`.

    `folder` is the run's directory, which stands in for what its row has lost. Raises `NotARun` where nothing of a run can
    be read, and `sqlite3.Error` where the draft cannot be written.
    """
    version = _opened(damaged, draft)
    with closing(_connect(draft)) as connection:
        connection.execute("ATTACH ? AS damaged", (f"{damaged.as_uri()}?mode=rw",))
        connection.execute("PRAGMA main.journal_mode = MEMORY")
        connection.execute("PRAGMA damaged.synchronous = OFF")
        if version < migration.SCHEMA_VERSION:
            _create_old(connection, version)
        else:
            connection.executescript(f"BEGIN; {database.SCHEMA} COMMIT;")
        size = sum(path.stat().st_size for path in (damaged, *beside(damaged)) if path.exists())
        last = _copy_events(connection, size // ROW_BYTES)
        if gaps(connection, last):
            _copy_pages(connection, damaged, last)
        for table in _others(connection):
            with suppress(*DAMAGE):
                connection.execute(f"INSERT OR IGNORE INTO main.{table} SELECT * FROM damaged.{table}")
        notes = _copy_run(connection, folder)
        (count,) = connection.execute("SELECT count(*) FROM main.events").fetchone()
        if not count and len(notes) > 1:
            raise NotARun(f"nothing of a run can be read from {folder / damaged.name}; it was left as it is")
        return Salvaged(count, gaps(connection, last), notes)


def _opened(damaged: Path, spare: Path) -> int:
    """The schema version of the database, after its first page was replaced where SQLite cannot read it."""
    try:
        return _version(damaged)
    except DAMAGE:
        pass
    database.create(spare, "", "", 0.0, None)
    page = bytearray(spare.read_bytes()[:PAGE_BYTES])  # the tables of a run begin at the same pages in every run
    page[28:32] = (damaged.stat().st_size // PAGE_BYTES).to_bytes(4, "big")  # the size of the database
    with damaged.open("r+b") as file:
        file.write(page)
    spare.unlink()
    try:
        return _version(damaged)
    except DAMAGE as error:
        raise NotARun(f"{damaged.name} is not a run's database, or too damaged to be repaired: {error}") from error


def _version(damaged: Path) -> int:
    with closing(_connect(damaged)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(events)")]
        if not columns:
            raise sqlite3.DatabaseError("it has no table of events")
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        if "sum" in columns:
            return migration.SCHEMA_VERSION
        return 1 if "decision" in [row[1] for row in connection.execute("PRAGMA table_info(decisions)")] else 2


def _create_old(connection: sqlite3.Connection, version: int) -> None:
    """The tables of an earlier version, which are migrated after the copy."""
    made = "SELECT sql FROM damaged.sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
    for (sql,) in connection.execute(made).fetchall():
        connection.execute(sql)
    connection.execute(f"PRAGMA main.application_id = {database.APPLICATION_ID}")
    connection.execute(f"PRAGMA main.user_version = {version}")


def _copy_events(connection: sqlite3.Connection, most: int) -> int:
    """Copy the events with ids up to `most`; returns the greatest id that the database knows of."""
    last = max((found for found in _last_ids(connection) if found <= most), default=most // 4)
    for first in range(0, last, CHUNK):
        _copy_range(connection, first, min(first + CHUNK, last))
    return last


def _last_ids(connection: sqlite3.Connection) -> Iterator[int]:
    """What different parts of the database say is the newest event."""
    for sql in (
        "SELECT id FROM damaged.events ORDER BY id DESC LIMIT 1",
        "SELECT max(id) FROM damaged.events INDEXED BY events_by_kind",
        "SELECT last FROM damaged.state",
        "SELECT max(event) FROM damaged.steps",
        "SELECT max(event) FROM damaged.edits",
    ):
        with suppress(*DAMAGE):
            for (found,) in connection.execute(sql).fetchall():
                if isinstance(found, int):
                    yield found


def _copy_range(connection: sqlite3.Connection, after: int, until: int) -> None:
    """Copy the events with `after` < id <= `until`; where that fails, each half for itself, down to single events."""
    try:
        connection.execute(
            "INSERT OR IGNORE INTO main.events SELECT * FROM damaged.events WHERE id > ? AND id <= ? ORDER BY id",
            (after, until),
        )
    except DAMAGE as error:
        if _code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        if until - after > 1:
            middle = (after + until) // 2
            _copy_range(connection, after, middle)
            _copy_range(connection, middle, until)


def _copy_pages(connection: sqlite3.Connection, damaged: Path, last: int) -> None:
    """Copy the events that no page of the table leads to any more: each page of rows is read as if it were the table."""
    with suppress(*DAMAGE):
        connection.execute("PRAGMA damaged.wal_checkpoint(TRUNCATE)")
    sums = "sum" in [column[1] for column in connection.execute("PRAGMA main.table_info(events)")]
    event = "typeof(at) = 'real' AND typeof(kind) = 'text' AND CAST(data AS TEXT) LIKE '{\"kind\":%'"
    event += " AND length(sum) = 16" if sums else ""
    copied = f"INSERT OR IGNORE INTO main.events SELECT * FROM damaged.events NOT INDEXED WHERE id <= ? AND {event}"
    connection.execute("PRAGMA writable_schema = ON")
    for page in _row_pages(damaged):
        with suppress(*DAMAGE):
            (version,) = connection.execute("PRAGMA damaged.schema_version").fetchone()
            connection.execute("UPDATE damaged.sqlite_master SET rootpage = ? WHERE name = 'events'", (page,))
            connection.execute(f"PRAGMA damaged.schema_version = {version + 1}")
            connection.execute(copied, (last,))
    connection.execute("PRAGMA writable_schema = OFF")


def _row_pages(damaged: Path) -> list[int]:
    """The numbers of the pages that hold rows, of whatever table. The first page has number 1 and holds the schema."""
    with damaged.open("rb") as file:
        count = damaged.stat().st_size // PAGE_BYTES
        return [at + 1 for at in range(1, count) if os.pread(file.fileno(), 1, at * PAGE_BYTES) == ROWS_PAGE]


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _others(connection: sqlite3.Connection) -> list[str]:
    """The tables that are neither derived nor copied elsewhere. Commands are dropped: their engine is gone."""
    made = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    known = {"run", "events", "commands", "state", "steps", "edits"}
    return [name for (name,) in made.fetchall() if name not in known]


def gaps(connection: sqlite3.Connection, last: int = 0) -> list[tuple[int, int]]:
    """The ranges of ids, up to `last` at least, without an event."""
    sql = "SELECT prior + 1, id - 1 FROM (SELECT id, lag(id, 1, 0) OVER (ORDER BY id) AS prior FROM main.events) "
    found = connection.execute(f"{sql} WHERE id > prior + 1").fetchall()
    (newest,) = connection.execute("SELECT coalesce(max(id), 0) FROM main.events").fetchone()
    return [*found, (newest + 1, last)] if newest < last else found


def _copy_run(connection: sqlite3.Connection, folder: Path) -> list[str]:
    """Copy the row of the run; what was lost of it is replaced, with a sentence for each."""
    found: tuple[Any, ...] | None = None
    with suppress(*DAMAGE):
        found = connection.execute("SELECT id, kind, created, repo FROM damaged.run").fetchone()
    fields = dict(zip(RunRow.__struct_fields__, found or (None,) * 4, strict=True))
    guesses = {"id": folder.name, "kind": _kind(connection), "created": _began(connection, folder), "repo": None}
    types = {field.name: field.type for field in msgspec.structs.fields(RunRow)}
    notes = []
    for name, guess in guesses.items():
        try:
            msgspec.convert(fields[name], types[name], strict=True)
        except msgspec.ValidationError:
            fields[name] = guess
            notes.append(f"the {name} of the run was lost; it is now {guess if guess is not None else folder / 'repo'}")
    connection.execute("INSERT INTO main.run (id, kind, created, repo) VALUES (?, ?, ?, ?)", tuple(fields.values()))
    if "sum" in [column[1] for column in connection.execute("PRAGMA main.table_info(run)")]:
        stored = None
        with suppress(*DAMAGE):
            stored = connection.execute("SELECT sum FROM damaged.run WHERE typeof(sum) = 'blob'").fetchone()
        row = rows.RunRow(**fields)
        made = stored[0] if stored else run_sum(row.id, row.kind, row.created, row.repo)
        connection.execute("UPDATE main.run SET sum = ?", (made,))
    return notes


def _kind(connection: sqlite3.Connection) -> str:
    """The kind that an engine logged at its start."""
    sql = "SELECT CAST(kind AS BLOB), CAST(data AS BLOB) FROM main.events WHERE kind = 'run_started' ORDER BY id"
    started = [event for event in (read(*row) for row in connection.execute(sql)) if isinstance(event, RunStarted)]
    return started[0].run_kind if started else "train"


def _began(connection: sqlite3.Connection, folder: Path) -> float:
    """The time of the first event, or of the directory."""
    sql = "SELECT at FROM main.events WHERE typeof(at) = 'real' AND at > 0 ORDER BY id LIMIT 1"
    found = connection.execute(sql).fetchone()
    return float(found[0]) if found else folder.stat().st_mtime


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path.absolute().as_uri(), uri=True, isolation_level=None)
    connection.text_factory = database.text_or_bytes
    connection.execute("PRAGMA synchronous = OFF")  # the draft is synced as a whole
    return connection
