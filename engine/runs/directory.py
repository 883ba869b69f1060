"""A run on disk: create it, open it, write its events, read them.

    run = Run.create(path, kind="train", config_text=to_toml(config))
    with run.lock(), run.writer() as writer:
        writer.emit(Notice("info", "hello"))

    run = Run.open(path)
    for stored in run.events(after=seen):
        print(stored.id, stored.event)

The directory holds run.db (SQLite), config.toml, engine.lock, repo/, checkpoints/ and logs/. Everything here may be
used from any thread and from any number of processes; only one engine at a time may hold `lock()`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from engine.config import Config, load_file
from engine.core.edit import Edit
from engine.core.edit import State as EditState
from engine.core.events import (
    AnyEvent,
    State,
    StepEnded,
    UnitEnded,
)
from engine.core.files import publish
from engine.runs import database, process
from engine.runs.commands import AnyCommand, Sent, decode_command, encode_command
from engine.runs.database import Database
from engine.runs.errors import ENGINE_BUSY_SECONDS, NotARun, RunError, RunExists, translate_errors
from engine.runs.log import Log, Stored, Transaction
from engine.runs.writer import EventWriter

DATABASE, CONFIG, REPO, CHECKPOINTS, LOGS = "run.db", "config.toml", "repo", "checkpoints", "logs"
FINAL_STATES: frozenset[State] = frozenset({"stopped", "finished", "failed"})


class RunState(msgspec.Struct, frozen=True):
    """The state of a run according to its events (the death of an engine does not change it: see `status`).

    `step` is the present one, or the last; `steps` is 0 and `profile` "" until an engine first started; `since` is when
    the state began, in unix time, None before any event.
    """

    state: State
    reason: str
    since: float | None
    profile: str
    step: int
    steps: int
    resumed_from: int


class Run:
    """One run directory. Make it with `create` or `open`; `close` it, or use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = Database(path / DATABASE)
        self._log = Log(self.db)
        self._lock: process.EngineLock | None = None
        try:
            row = self.db.one("SELECT id, kind, created, repo FROM run")
        except NotARun:
            raise
        except RunError as error:
            self.db.close()
            raise NotARun(f"{path} is not a run that can be read: {error}") from error
        if row is None:
            raise NotARun(f"{path / DATABASE} has no entry for its run; the database is damaged")
        self.id: str = row[0]
        self.kind: str = row[1]
        self.created: float = row[2]
        self.repo_path: Path = Path(row[3]) if row[3] else path / REPO

    @classmethod
    def create(cls, path: Path | str, *, kind: str, config_text: str, repo: Path | None = None) -> Run:
        """Make a run directory at `path`, which must be absent or an empty folder, and open it.

        It appears complete or not at all. `repo` is the skill repository to work on, made if absent; by default one of
        the run's own. Raises `RunExists`, or `RunError` when the folder cannot be written.
        """
        path = Path(path).absolute()
        if repo is not None and repo.absolute() == path:
            raise RunError(f"{path} cannot be the run and its skill repository; give each a directory of its own")
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise RunExists(f"{path} already exists and is not empty; give another directory for a new run")
        building = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if repo is not None:
                repo.mkdir(parents=True, exist_ok=True)
            building = path.parent / f".{path.name}.{secrets.token_hex(4)}"
            building.mkdir()
            _fill(building, path.name, kind, config_text, repo)
            publish(building, path)
        except (OSError, RunError) as error:
            if building is not None:
                shutil.rmtree(building, ignore_errors=True)
            raise RunError(f"cannot create a run at {path}: {error}; check permissions and free space") from error
        return cls(path)

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open a run directory. Raises `NotARun` when there is none, `RunError` when it may not be written."""
        path = Path(path).absolute()
        if not path.exists():
            raise NotARun(f"there is no run at {path}: no such folder")
        if not path.is_dir():
            raise NotARun(f"{path} is a file; give the directory of a run")
        database_file = path / DATABASE
        try:
            present = database_file.is_file()
        except OSError as error:
            raise RunError(f"cannot look into {path}: {error.strerror}") from error
        if not present:
            raise NotARun(f"{path} is not a run: it has no {DATABASE}; give a directory that skillos-engine made")
        for item in (path, database_file):
            if not os.access(item, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids):
                raise RunError(f"no permission to read and write {item}; open the run as the user who made it")
        return cls(path)

    def close(self) -> None:
        """Close the database connections."""
        self.db.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def config(self) -> Config:
        """The configuration that the run was created with. Raises `ConfigError`."""
        return load_file(self.path / CONFIG)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def log_file(self) -> Path:
        """What the engine process printed."""
        return self.path / LOGS / "engine.log"

    # Writing

    def writer(self) -> EventWriter:
        """A thread-safe writer that commits in batches; a context manager."""
        return EventWriter(self._log.append, self.id)

    def append(self, *events: AnyEvent) -> None:
        """Write events at once, in one transaction. For the few events of other processes than the engine."""
        with self.transaction() as transaction:
            transaction.append(*events)

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Events and other rows, all or none. Raises `WriteFailed`."""
        return self._log.transaction()

    # Reading

    def events(
        self, after: int = 0, limit: int | None = None, kinds: Sequence[str] | None = None, until: int | None = None
    ) -> list[Stored]:
        """The events with `after` < id <= `until`, oldest first, at most `limit`, only of `kinds` (`turn_taken`, …)."""
        return self._log.read(after, limit, kinds, until)

    def tail(self, limit: int, kinds: Sequence[str] | None = None, until: int | None = None) -> list[Stored]:
        """The last `limit` events up to `until`, oldest first; a negative `limit` is none."""
        return self._log.tail(limit, kinds, until)

    def last_id(self) -> int:
        """The id of the newest event; 0 when there is none."""
        return self._log.last_id()

    def data_version(self) -> int:
        """A number that differs from the one before when anything was committed since, by anyone. Cheap to poll."""
        return self.db.data_version()

    def state(self) -> RunState:
        """The state of the run according to its events."""
        row = self.db.one("SELECT state, reason, since, profile, step, steps, resumed_from FROM state")
        return RunState(*row)

    def steps(self) -> list[StepEnded]:
        """The summaries of the finished steps, in order, without those that a resume undid."""
        return [ended for ended in self._ended() if isinstance(ended, StepEnded)]

    def units(self) -> list[UnitEnded]:
        """The finished units of a job that plays no rollouts, in order, without those that a resume undid."""
        return [ended for ended in self._ended() if isinstance(ended, UnitEnded)]

    def last_ended(self) -> int:
        """The number of the last step or unit that ended and that no resume undid; 0 before the first."""
        return int(self.db.one("SELECT coalesce(max(step), 0) FROM steps")[0])

    def _ended(self) -> list[StepEnded | UnitEnded]:
        rows = self.db.all("SELECT data FROM steps ORDER BY step")
        with translate_errors(self.db.path):
            return [_decode_ended(row[0]) for row in rows]

    def edits(self, state: EditState | None = None, *, newest: int | None = None) -> list[Edit]:
        """The edits of the review queue, oldest first; only those in `state`, only the `newest` of them, if given."""
        where, values = ("WHERE state = ?", [state]) if state else ("", [])
        sql = f"SELECT data FROM edits {where} ORDER BY event DESC LIMIT ?"
        rows = self.db.all(sql, [*values, -1 if newest is None else newest])
        with translate_errors(self.db.path):
            return [_decode_edit(row[0]) for row in reversed(rows)]

    def edit(self, edit_id: str) -> Edit:
        """One edit. Raises `RunError` when the run has none of that id."""
        row = self.db.one("SELECT data FROM edits WHERE edit = ?", [edit_id])
        if row is None:
            raise RunError(f"{self.path} has no edit {edit_id!r}; see: skillos-engine review {self.path} list")
        with translate_errors(self.db.path):
            return _decode_edit(row[0])

    def count_edits(self, state: EditState) -> int:
        """How many edits are in `state`."""
        return int(self.db.one("SELECT count(*) FROM edits WHERE state = ?", [state])[0])

    # The engine process

    def lock(self) -> process.EngineLock:
        """Become the engine of this run (a context manager). Raises `RunLocked` while another engine is.

        An engine waits longer than a person for the database.
        """
        self._lock = process.EngineLock(self.path)
        self.db.wait(ENGINE_BUSY_SECONDS)
        return self._lock

    def beat(self) -> None:
        """Write the heartbeat; the engine, which holds `lock()`, calls it about once a second. Raises `RunError`, and
        `RunGone` when the run is not at its path any more."""
        assert self._lock is not None, "only an engine beats"
        self._lock.beat()

    def heartbeat_age(self) -> float | None:
        """Seconds since the last heartbeat; None when no engine has worked in this directory. Negative when a clock was
        changed."""
        return process.heartbeat_age(self.path)

    def engine(self) -> process.EngineProcess | None:
        """The engine process while an engine works, as the run's lock says; its pid is a hint."""
        return process.engine_of(self.path).process

    def engine_alive(self) -> bool:
        """Whether an engine works on this run, as the run's lock says."""
        return process.engine_of(self.path).works

    # Commands to the engine

    def send(self, command: AnyCommand, by: str) -> None:
        """Leave a command for the engine; `by` says who."""
        with self.db.transaction() as connection:
            values = (time.time(), by, encode_command(command))
            connection.execute("INSERT INTO commands (at, by, data) VALUES (?, ?, ?)", values)

    def take_commands(self) -> list[Sent]:
        """The commands left since the last call, oldest first. Each is given out once."""
        if self.db.one("SELECT 1 FROM commands LIMIT 1") is None:
            return []
        with self.db.transaction() as connection:
            rows = connection.execute("SELECT at, by, data FROM commands ORDER BY id").fetchall()
            connection.execute("DELETE FROM commands")
        return [Sent(at, by, decode_command(data)) for at, by, data in rows]


def _fill(folder: Path, run_id: str, kind: str, config_text: str, repo: Path | None) -> None:
    for name in (REPO, CHECKPOINTS, LOGS):
        if name != REPO or repo is None:
            (folder / name).mkdir()
    process.create_locks(folder)
    (folder / CONFIG).write_text(config_text, encoding="utf-8")
    database.create(folder / DATABASE, run_id, kind, time.time(), str(repo.absolute()) if repo else None)


_decode_edit = msgspec.json.Decoder(Edit).decode
_decode_ended = msgspec.json.Decoder(StepEnded | UnitEnded).decode
