"""Run databases of earlier versions, brought to the present schema when a run is opened.

    migrate(connection, run_folder)          # does nothing for a database of the present schema

A migration is one SQLite transaction: it is done completely or not at all, whenever the process dies, and of two processes
that open the run at once the second waits for the first. It is refused while an engine works on the run, since that engine
is of the earlier version and would write events that this one cannot read.

Each version has one function in `STEPS`, which rewrites the log. The projections are rebuilt from the log afterwards.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from engine.runs import projections
from engine.runs.errors import NotARun, RunError
from engine.runs.process import engine_of, started_for

SCHEMA_VERSION = 2
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
                for step in range(version, SCHEMA_VERSION):
                    STEPS[step](connection)
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
    """Raise `RunError` where an engine lives, or is about to begin, that knows the old schema only."""
    for process in (engine_of(run), started_for(run)):
        if process is not None and process.pid != os.getpid() and process.alive():
            raise RunError(
                f"an engine of an older skillos-tui works on {run} (process {process.pid}, schema version {version}; this "
                f"skillos-tui writes version {SCHEMA_VERSION}); stop that engine with the older skillos-tui, or wait "
                "until it ends, and open the run again"
            )


# Version 1 to 2: the field's vocabulary

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


def _to_version_2(connection: sqlite3.Connection) -> None:
    for kind, names in RENAMED.items():
        for rows in _batches(connection, kind):
            renamed = [(_encode({names.get(name, name): v for name, v in fields.items()}), i) for i, fields in rows]
            connection.executemany("UPDATE events SET data = ? WHERE id = ?", renamed)


STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = MappingProxyType({1: _to_version_2})
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
