"""The tables that are derived from the event log: the run's state, its finished steps, its edits.

They are written in the transaction that writes the events, so a run with a million events opens at once, and they can
be dropped and rebuilt from the log (`rebuild`) to equal tables.

A `RunStarted` that resumes from step k deletes the steps after k: no checkpoint has them, and they are done again. The state
of an edit follows from `engine.core.edit.TRANSITIONS`; an event that the table does not allow is refused. `state.last` is
the id of the newest event, so that a log whose end is gone is noticed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from engine.core.edit import Edit, NotAllowed
from engine.core.events import (
    AnyEvent,
    EditDecided,
    EditProposed,
    EditWithheld,
    Event,
    RunStarted,
    SettingChanged,
    StateChanged,
    StepEnded,
    StepStarted,
    UnitEnded,
    Unreadable,
    encode,
    read,
)
from engine.runs.chain import COLUMNS, Row

NAMES = ("state", "steps", "edits")
PAGE = 1_000
"""Events that are read at once."""

TABLES = """
CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1), profile TEXT NOT NULL DEFAULT '', steps INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'starting', reason TEXT NOT NULL DEFAULT '', since REAL,
    step INTEGER NOT NULL DEFAULT 0, resumed_from INTEGER NOT NULL DEFAULT 0, last INTEGER NOT NULL DEFAULT 0
);
INSERT INTO state (only) VALUES (1);
CREATE TABLE steps (step INTEGER PRIMARY KEY, event INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE edits (
    edit TEXT PRIMARY KEY, event INTEGER NOT NULL, state TEXT NOT NULL, data BLOB NOT NULL
);
CREATE INDEX edits_by_state ON edits (state, event);
"""


def apply(connection: sqlite3.Connection, event_id: int, at: float, event: AnyEvent) -> None:
    """Bring the derived tables up to date with one event, inside the caller's transaction."""
    rule = _RULES.get(type(event))
    if rule is not None:
        rule(connection, event_id, at, event)


def note_last(connection: sqlite3.Connection, event_id: int) -> None:
    """Note the id of the newest event, inside the caller's transaction."""
    connection.execute("UPDATE state SET last = ?", (event_id,))


def create(connection: sqlite3.Connection) -> None:
    """Make the tables, empty, in the place of those that there are, inside the caller's transaction."""
    for table in NAMES:
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in TABLES.split(";"):
        connection.execute(statement)


def rebuild(connection: sqlite3.Connection) -> list[str]:
    """Empty the derived tables and derive them again from the events, inside the caller's transaction.

    An event that cannot be read, or that does not follow from those before it, is left out; a sentence for each.
    """
    for table in NAMES:
        connection.execute(f"DELETE FROM {table}")
    connection.execute("INSERT INTO state (only) VALUES (1)")
    marks = ", ".join("?" * len(KINDS))
    rows = connection.execute(f"SELECT {COLUMNS} FROM events WHERE kind IN ({marks}) ORDER BY id", KINDS)
    left_out = []
    while page := rows.fetchmany(PAGE):
        for row in (Row(*values) for values in page):
            event = read(row.kind or b"", row.data or b"")
            why = event.why if isinstance(event, Unreadable) else refused(connection, row.id, row.at or 0.0, event)
            if why:
                left_out.append(f"event {row.id}: {why}")
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()
    note_last(connection, last)
    return left_out


def refused(connection: sqlite3.Connection, event_id: int, at: float, event: AnyEvent) -> str:
    """Apply an event that a log holds; why it cannot be applied, "" where it was."""
    try:
        apply(connection, event_id, at, event)
    except (NotAllowed, OverflowError) as error:
        return str(error)
    return ""


def _run_started(connection: sqlite3.Connection, event_id: int, at: float, event: RunStarted) -> None:
    connection.execute(
        "UPDATE state SET state = 'running', reason = '', since = ?, profile = ?, steps = ?, step = ?, "
        "resumed_from = ?",
        (at, event.profile, event.steps, event.resumed_from, event.resumed_from),
    )
    connection.execute("DELETE FROM steps WHERE step > ?", (event.resumed_from,))


def _state_changed(connection: sqlite3.Connection, event_id: int, at: float, event: StateChanged) -> None:
    connection.execute("UPDATE state SET state = ?, reason = ?, since = ?", (event.state, event.reason, at))


def _setting_changed(connection: sqlite3.Connection, event_id: int, at: float, event: SettingChanged) -> None:
    if event.total is not None:
        connection.execute("UPDATE state SET steps = ?", (event.total,))


def _step_started(connection: sqlite3.Connection, event_id: int, at: float, event: StepStarted) -> None:
    connection.execute("UPDATE state SET step = ?", (event.step,))


def _step_ended(connection: sqlite3.Connection, event_id: int, at: float, event: StepEnded | UnitEnded) -> None:
    connection.execute("UPDATE state SET step = ?", (event.step,))
    connection.execute("INSERT OR REPLACE INTO steps VALUES (?, ?, ?)", (event.step, event_id, encode(event)))


def _edit_proposed(
    connection: sqlite3.Connection, event_id: int, at: float, event: EditProposed | EditWithheld
) -> None:
    """An edit that is proposed again takes the place of its earlier self, behind the edits that were proposed since."""
    edit = event.applied(_edit(connection, event.edit.id))
    connection.execute(
        "INSERT OR REPLACE INTO edits VALUES (?, ?, ?, ?)", (edit.id, event_id, edit.state, _encode_edit(edit))
    )


def _edit_decided(connection: sqlite3.Connection, event_id: int, at: float, event: EditDecided) -> None:
    before = _edit(connection, event.edit)
    if before is not None:
        edit = event.applied(before)
        connection.execute(
            "UPDATE edits SET state = ?, data = ? WHERE edit = ?", (edit.state, _encode_edit(edit), edit.id)
        )


def _edit(connection: sqlite3.Connection, edit_id: str) -> Edit | None:
    row = connection.execute("SELECT data FROM edits WHERE edit = ?", (edit_id,)).fetchone()
    return _decode_edit(row[0]) if row else None


_encode_edit = msgspec.json.Encoder().encode
_decode_edit = msgspec.json.Decoder(Edit).decode

_RULES: dict[type[Event], Callable[[sqlite3.Connection, int, float, Any], None]] = {
    RunStarted: _run_started,
    StateChanged: _state_changed,
    SettingChanged: _setting_changed,
    StepStarted: _step_started,
    StepEnded: _step_ended,
    UnitEnded: _step_ended,
    EditProposed: _edit_proposed,
    EditWithheld: _edit_proposed,
    EditDecided: _edit_decided,
}

KINDS = tuple(type_.__struct_config__.tag for type_ in _RULES)
"""The kinds of events that the tables derive from."""
