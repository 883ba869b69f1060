"""What is stored of a run, checked: the chain of its log, its rows, the tables derived from it, and what else knows of it.

stored = StoredRun(run)
for event in stored.events():          # to be recomputed from
    ...
stored.finish()
stored.faults, stored.more             # one sentence each; how many more there are
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from engine.core.edit import Edit
from engine.core.events import CheckpointSaved, StepEnded, StepStarted, UnitEnded, Unreadable
from engine.review.missing import unlogged
from engine.runs import projections
from engine.runs.chain import Chain, run_sum
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.runs.log import Stored, stored_of
from engine.skills.history.errors import HistoryError
from engine.training.checkpoints import newest_first

MOST = 1_000
"""Faults that are kept; the others are counted."""
STATE = ("profile", "steps", "state", "reason", "since", "step", "resumed_from", "last")

Derived = dict[tuple[str, str], bytes]
"""The derived rows by table and key: a digest of what they say."""


class StoredRun:
    """The stored run as it was when this was made; what is written later is not checked."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.faults: list[str] = []
        self.more = 0
        self.checksums = 0
        self._begun = 0
        self._again = sqlite3.connect("", isolation_level=None)  # a temporary file: edits can be many
        self._again.executescript(f"BEGIN; {projections.TABLES}")
        with run.db.borrow() as connection:
            connection.execute("BEGIN")
            try:
                (self.last,) = connection.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()
                self._state = _state(connection)
                self._derived = self._digests(connection)
                self._chain = self._chain_of(connection)
            finally:
                connection.execute("ROLLBACK")

    def events(self) -> Iterator[Stored]:
        """The events, oldest first; each is checked as it passes."""
        last = 0
        try:
            for page in self._run.rows(until=self.last):
                for row in page:
                    self._note(self._chain.take(row))
                    stored = stored_of(row)
                    self._take(stored)
                    yield stored
                    last = row.id
                    self.checksums += 1
        except RunError as error:
            self._note(f"nothing can be read after event {last}: {error}")

    def finish(self) -> None:
        """After the last event: the derived tables, the database's own check, checkpoints and commits."""
        projections.note_last(self._again, self.last)
        again = _state(self._again)
        if not self._state:
            self._note("table state: its row is missing")
        for name, value in self._state.items():
            if value != again[name]:
                self._note(f"table state: {name} is {_shown(value)}, and the events give {_shown(again[name])}")
        derived = self._digests(self._again)
        for table, key in sorted({*self._derived, *derived}):
            old, new = self._derived.get((table, key)), derived.get((table, key))
            if old is None:
                self._note(f"table {table}: the row {key} is missing")
            elif new is None:
                self._note(f"table {table}: no event gives the row {key}")
            elif old != new:
                self._note(f"table {table}: the row {key} is not what the events give")
        self._again.close()
        self._check_database()
        self._check_checkpoints()
        self._check_commits()

    def _take(self, stored: Stored) -> None:
        """Remember what later checks need of an event."""
        event = stored.event
        if isinstance(event, Unreadable):
            self._note(f"event {stored.id}, {event.kind}: not understood: {event.why}")
            return
        if why := projections.refused(self._again, stored.id, stored.at, event):
            self._note(f"event {stored.id} does not follow from those before it: {why}")
        match event:
            case StepStarted(step=step) | CheckpointSaved(step=step):
                self._begun = max(self._begun, step)

    def _check_database(self) -> None:
        try:
            found = self._run.db.all(f"PRAGMA integrity_check({MOST})")
        except RunError as error:
            self._note(f"the database cannot be checked: {error}")
            return
        for (text,) in found:
            for line in str(text).splitlines():
                self._note("" if line == "ok" or line.startswith("***") else f"SQLite's integrity check: {line}")

    def _check_checkpoints(self) -> None:
        """A checkpoint of a step that the log does not begin; a crash cannot cause that."""
        for step, path in newest_first(self._run.checkpoints):
            if step > self._begun:
                self._note(
                    f"the checkpoint {path.name} is of step {step}, and the log has no such step: its end is lost"
                )

    def _check_commits(self) -> None:
        """A commit by a decision of this run that the log does not have."""
        try:
            commits = unlogged(self._run)
        except HistoryError as error:
            self._note(f"the commits of the skill repository cannot be read: {error}")
            return
        for commit in commits:
            edit, reviewer = commit.trailers.get("Edit", "?"), commit.trailers.get("Reviewer", "?")
            self._note(f"commit {commit.id[:10]} is a decision of {reviewer} on {edit}, which the log does not have")

    def _chain_of(self, connection: sqlite3.Connection) -> Chain:
        """The chain from the row of the run on."""
        row = connection.execute("SELECT id, kind, created, repo, CAST(sum AS BLOB) FROM run").fetchone()
        stored, computed = row[4] or b"", run_sum(*row[:4])
        if stored != computed:
            self._note("table run: the row (id, kind, created, repo) is not what was written: its checksum is another")
        return Chain(stored, computed)

    def _digests(self, connection: sqlite3.Connection) -> Derived:
        """The rows of the tables `steps` and `edits`."""
        found: Derived = {}
        connection.text_factory = bytes
        try:
            for key, event, data in connection.execute("SELECT step, event, CAST(data AS BLOB) FROM steps"):
                found["steps", _shown(key)] = self._digest(f"table steps: the row {_shown(key)}", _ended, data, event)
            for key, event, state, data in connection.execute(
                "SELECT edit, event, state, CAST(data AS BLOB) FROM edits"
            ):
                found["edits", _shown(key)] = self._digest(
                    f"table edits: the row {_shown(key)}", _edit, data, event, _shown(state)
                )
        finally:
            connection.text_factory = str
        return found

    def _digest(
        self, where: str, decoder: msgspec.json.Decoder[StepEnded | UnitEnded] | msgspec.json.Decoder[Edit],
        data: bytes | None, *columns: object,
    ) -> bytes:  # fmt: skip
        try:
            said = msgspec.json.encode((decoder.decode(data or b""), columns))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._note(f"{where} cannot be read: {error}")
            return b""
        return blake2b(said, digest_size=16).digest()

    def _note(self, fault: str) -> None:
        """Keep a fault; "" is none."""
        if fault and len(self.faults) < MOST:
            self.faults.append(fault)
        elif fault:
            self.more += 1


def _state(connection: sqlite3.Connection) -> dict[str, object]:
    """The row of table `state`, texts as bytes; empty where there is none."""
    connection.text_factory = bytes
    try:
        row = connection.execute(f"SELECT {', '.join(STATE)} FROM state").fetchone()
    finally:
        connection.text_factory = str
    return dict(zip(STATE, row, strict=True)) if row else {}


def _shown(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


_ended = msgspec.json.Decoder(StepEnded | UnitEnded)
_edit = msgspec.json.Decoder(Edit)
