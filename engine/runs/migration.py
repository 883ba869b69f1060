"""Run databases of earlier versions, brought to the present schema when a run is opened.

    migrate(connection, run_folder)          # does nothing for a database of the present schema

A migration is one SQLite transaction: it is done completely or not at all, even if the process is killed, and of two
processes that open the run at once the second waits for the first. It is refused while an engine works on the run, since
that engine is of the earlier version and would write events that this one cannot read.

Each version has one function in `STEPS`, which rewrites the log. The projections are rebuilt from the log afterwards.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from engine.core.edit import Action, NotAllowed, State, transition
from engine.runs import projections
from engine.runs.chain import rechain
from engine.runs.errors import NotARun, RunError
from engine.runs.process import engine_of, starting

SCHEMA_VERSION = 3
WAIT_MS = 120_000
"""How long a second opener waits for a migration; a log of a million events takes seconds."""
BATCH = 5_000
"""Events that are rewritten at a time."""

Fields = dict[str, msgspec.Raw]


def migrate(connection: sqlite3.Connection, run: Path) -> None:
    """Bring the database of the run folder `run` to `SCHEMA_VERSION`. The connection is in autocommit mode.

    Raises `NotARun` for a schema that is newer than this program, `RunError` while an engine works on an older run.
    """
    if _checked_version(connection, run) == SCHEMA_VERSION:
        return
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {WAIT_MS}")
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _checked_version(connection, run)
            if version < SCHEMA_VERSION:
                _refuse_while_in_use(run, version)
                _refuse_what_is_newer(connection, run, version)
                for step in range(version, SCHEMA_VERSION):
                    STEPS[step](connection, run)
                projections.create(connection)
                projections.rebuild(connection)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience}")


def _checked_version(connection: sqlite3.Connection, run: Path) -> int:
    """The schema version of the database. Raises `NotARun` for one that this program cannot migrate."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise NotARun(
            f"{run} was written by a newer skillos-tui: its schema version is {version}, and this skillos-tui reads up to "
            f"version {SCHEMA_VERSION}; upgrade skillos-tui to open it"
        )
    if version < min(STEPS):
        raise NotARun(f"{run} has the unknown schema version {version}; its run.db is damaged")
    return version


def _refuse_while_in_use(run: Path, version: int) -> None:
    """Raise `RunError` where an engine that knows only the old schema runs or is about to start."""
    for process in (engine_of(run).process, starting(run)):
        if process is not None and process.pid != os.getpid():
            raise RunError(
                f"an engine of an older skillos-tui works on {run} ({process}, schema version {version}; this "
                f"skillos-tui writes version {SCHEMA_VERSION}); stop that engine with the older skillos-tui, or wait "
                "until it ends, and open the run again"
            )


def _refuse_what_is_newer(connection: sqlite3.Connection, run: Path, version: int) -> None:
    """Raise `NotARun` where the tables are those of this version: the number was changed, not the schema."""
    if any(column[1] == "sum" for column in connection.execute("PRAGMA table_info(events)")):
        raise NotARun(
            f"{run / 'run.db'} is damaged: it says schema version {version} and has the tables of version {SCHEMA_VERSION}"
        )


# Version 1 to 2

RENAMED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "turn_taken": {"coerced": "invalid_action"},
        "episode_ended": {"coerced": "invalid_actions"},
        "rollout_scored": {"parts": "rewards"},
        "step_ended": {
            "parts": "rewards",
            "spread": "reward_std",
            "flat_groups": "zero_std_groups",
            "coercion_rate": "invalid_action_rate",
        },
        "held_out_measured": {"parts": "rewards"},
    }
)
"""The fields of version 1 that have another name in version 2, by the kind of their event."""


DECIDED: Mapping[str, Action] = MappingProxyType(
    {
        "approved": "approve",
        "amended": "approve",
        "vetoed": "veto",
        "superseded": "supersede",
        "conflicted": "conflict",
        "undone": "undo",
    }
)
"""The action of version 2 for each decision of version 1. An approval with a person's text was "amended"."""


def _to_version_2(connection: sqlite3.Connection, run: Path) -> None:
    """The field's vocabulary, and edits as one struct whose states follow from one table."""
    for kind, names in RENAMED.items():
        for rows in _batches(connection, kind):
            renamed = [(_encode({names.get(name, name): v for name, v in fields.items()}), i) for i, fields in rows]
            connection.executemany("UPDATE events SET data = ? WHERE id = ?", renamed)
    _migrate_edits(connection, run)
    connection.execute("ALTER TABLE decisions RENAME COLUMN decision TO action")
    connection.executemany(
        "UPDATE decisions SET action = ? WHERE action = ?", [(new, old) for old, new in DECIDED.items()]
    )


def _migrate_edits(connection: sqlite3.Connection, run: Path) -> None:
    rows = connection.execute(
        "SELECT id, at, data FROM events WHERE kind IN ('edit_proposed', 'edit_decided') ORDER BY id"
    ).fetchall()
    states: dict[str, State] = {}
    changed = []
    for event_id, at, data in rows:
        old = msgspec.json.decode(data)
        try:
            state = states.get(old["edit"], "proposed")
            action = _action(old, state)
            states[old["edit"]] = transition(state, action)
            new = _proposed(old, action) if old["kind"] == "edit_proposed" else _decided(old, action, at)
        except NotAllowed as error:
            raise RunError(f"event {event_id} of {run} cannot be migrated: {error}") from error
        except KeyError as error:
            raise RunError(f"event {event_id} of {run} cannot be migrated: it has no known {error}") from error
        changed.append((_encode(new), event_id))
    connection.executemany("UPDATE events SET data = ? WHERE id = ?", changed)


def _action(old: dict[str, Any], state: State) -> Action:
    """What an event of version 1 did to an edit that was in `state`."""
    if old["kind"] == "edit_decided":
        return DECIDED[old["decision"]]
    return "admit" if state == "proposed" else "amend" if state == "pending" else "requeue"


def _proposed(old: dict[str, Any], action: Action) -> dict[str, Any]:
    edit = {
        "operation": old["operation"],
        "skill": old["skill"],
        "before": old["before"],
        "after": old["after"],
        "new_name": old["new_name"],
        "provenance": {
            "position": old["at"],
            "task": old["task"],
            "outcome": old["outcome"],
            "proposer": old.get("proposer", "curator"),
            "reason": old["reason"],
        },
        "id": old["edit"],
        "findings": [*map(_finding, old["checks"]), *old.get("audit", [])],
        "scores": {},
        "original": old.get("original"),
        "amended_by": old.get("amended_by", ""),
        "state": "pending",
        "decision": None,
    }
    return {"kind": "edit_proposed", "edit": edit, "action": action}


def _finding(note: str) -> dict[str, Any]:
    """A note of the format, which was a line of text: "line 3: there is no key colour"."""
    line, colon, message = note.removeprefix("line ").partition(": ")
    known = note.startswith("line ") and colon and line.isdecimal()
    return {
        "rule": "format",
        "severity": "warning",
        "line": int(line) if known else 1,
        "message": message if known else note,
    }


def _decided(old: dict[str, Any], action: Action, at: float) -> dict[str, Any]:
    decision = {
        "action": action,
        "by": old["by"],
        "reason": old.get("reason", ""),
        "commit": old.get("commit", ""),
        "time": at,
    }
    return {"kind": "edit_decided", "edit": old["edit"], "decision": decision}


# Version 2 to 3


def _to_version_3(connection: sqlite3.Connection, run: Path) -> None:
    """A checksum for each event, and no notes of decisions to be done: a decision is one transaction, or its commit."""
    for table in ("run", "events"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN sum BLOB NOT NULL DEFAULT x''")
    rechain(connection)
    connection.execute("DROP TABLE decisions")
    connection.execute("CREATE TABLE reconciled (only INTEGER PRIMARY KEY CHECK (only = 1), head TEXT NOT NULL)")


STEPS: Mapping[int, Callable[[sqlite3.Connection, Path], None]] = MappingProxyType({1: _to_version_2, 2: _to_version_3})
"""What leads from a version to the next one."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Fields).decode


def _batches(connection: sqlite3.Connection, kind: str) -> Iterator[list[tuple[int, Fields]]]:
    """The events of `kind` by id, oldest first, at most `BATCH` at a time; values stay as they are written."""
    last = 0
    while True:
        rows = connection.execute(
            "SELECT id, data FROM events WHERE kind = ? AND id > ? ORDER BY id LIMIT ?", (kind, last, BATCH)
        ).fetchall()
        if not rows:
            return
        last = rows[-1][0]
        yield [(event_id, _decode(data)) for event_id, data in rows]
