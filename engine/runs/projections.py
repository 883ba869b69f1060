"""The tables that follow from the event log: the run's state, its finished steps, its edits.

They are written in the transaction that writes the events, so a run with a million events opens at once, and they can
be dropped and rebuilt from the log (`rebuild`) to equal tables.

A `RunStarted` that resumes from step k takes the steps after k back: no checkpoint has them, and they are done again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from engine.core.events import (
    AnyEvent,
    EditDecided,
    EditProposed,
    Event,
    RunStarted,
    StateChanged,
    StepEnded,
    StepStarted,
    decode,
    encode,
)

TABLES = """
CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1), profile TEXT NOT NULL DEFAULT '', steps INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'starting', reason TEXT NOT NULL DEFAULT '', since REAL,
    step INTEGER NOT NULL DEFAULT 0, resumed_from INTEGER NOT NULL DEFAULT 0
);
INSERT INTO state (only) VALUES (1);
CREATE TABLE steps (step INTEGER PRIMARY KEY, event INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE edits (
    edit TEXT PRIMARY KEY, event INTEGER NOT NULL, at REAL NOT NULL, state TEXT NOT NULL, proposal BLOB NOT NULL,
    decision BLOB, decided_at REAL
);
CREATE INDEX edits_by_state ON edits (state, event);
"""


def apply(connection: sqlite3.Connection, event_id: int, at: float, event: AnyEvent) -> None:
    """Bring the derived tables up to date with one event, inside the caller's transaction."""
    rule = _RULES.get(type(event))
    if rule is not None:
        rule(connection, event_id, at, event)


def rebuild(connection: sqlite3.Connection) -> None:
    """Empty the derived tables and derive them again from the events, inside the caller's transaction."""
    for table in ("state", "steps", "edits"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute("INSERT INTO state (only) VALUES (1)")
    kinds = [type_.__struct_config__.tag for type_ in _RULES]
    marks = ", ".join("?" * len(kinds))
    rows = connection.execute(f"SELECT id, at, data FROM events WHERE kind IN ({marks}) ORDER BY id", kinds)
    for event_id, at, data in rows.fetchall():
        apply(connection, event_id, at, decode(data))


def _run_started(connection: sqlite3.Connection, event_id: int, at: float, event: RunStarted) -> None:
    connection.execute(
        "UPDATE state SET state = 'running', reason = '', since = ?, profile = ?, steps = ?, step = ?, "
        "resumed_from = ?",
        (at, event.profile, event.steps, event.resumed_from, event.resumed_from),
    )
    connection.execute("DELETE FROM steps WHERE step > ?", (event.resumed_from,))


def _state_changed(connection: sqlite3.Connection, event_id: int, at: float, event: StateChanged) -> None:
    connection.execute("UPDATE state SET state = ?, reason = ?, since = ?", (event.state, event.reason, at))


def _step_started(connection: sqlite3.Connection, event_id: int, at: float, event: StepStarted) -> None:
    connection.execute("UPDATE state SET step = ?", (event.step,))


def _step_ended(connection: sqlite3.Connection, event_id: int, at: float, event: StepEnded) -> None:
    connection.execute("UPDATE state SET step = ?", (event.step,))
    connection.execute("INSERT OR REPLACE INTO steps VALUES (?, ?, ?)", (event.step, event_id, encode(event)))


def _edit_proposed(connection: sqlite3.Connection, event_id: int, at: float, event: EditProposed) -> None:
    """An edit that is proposed again (after a conflict) takes the place of its earlier self."""
    connection.execute(
        "INSERT OR REPLACE INTO edits (edit, event, at, state, proposal) VALUES (?, ?, ?, 'pending', ?)",
        (event.edit, event_id, at, encode(event)),
    )


def _edit_decided(connection: sqlite3.Connection, event_id: int, at: float, event: EditDecided) -> None:
    """An undone veto is pending again; an undone approval stays `undone`, its revert is a commit."""
    if event.decision == "undone":
        back = connection.execute("SELECT state FROM edits WHERE edit = ?", (event.edit,)).fetchone()
        if back is not None and back[0] == "vetoed":
            connection.execute(
                "UPDATE edits SET state = 'pending', decision = NULL, decided_at = NULL WHERE edit = ?", (event.edit,)
            )
            return
    connection.execute(
        "UPDATE edits SET state = ?, decision = ?, decided_at = ? WHERE edit = ?",
        (event.decision, encode(event), at, event.edit),
    )


_RULES: dict[type[Event], Callable[[sqlite3.Connection, int, float, Any], None]] = {
    RunStarted: _run_started,
    StateChanged: _state_changed,
    StepStarted: _step_started,
    StepEnded: _step_ended,
    EditProposed: _edit_proposed,
    EditDecided: _edit_decided,
}
