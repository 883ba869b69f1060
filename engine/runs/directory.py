"""A run on disk: create it, open it, write its events, read them.

    run = Run.create(path, kind="train", config_text=to_toml(config))
    with run.lock(), run.writer() as writer:
        writer.emit(Notice("info", "hello"))

    run = Run.open(path)
    for stored in run.stream(after=seen):
        print(stored.id, stored.event)

The directory holds run.db (SQLite), config.toml, engine.lock, repo/, checkpoints/ and logs/. Everything here may be
used from any thread and from any number of processes; only one engine at a time may hold `lock()`.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from engine.config import Config, load_file
from engine.core.edit import Edit
from engine.core.edit import State as EditState
from engine.core.events import (
    AnyEvent,
    Notice,
    State,
    StepEnded,
    UnitEnded,
)
from engine.core.files import publish
from engine.core.locks import open_lock
from engine.core.paths import BadPath, kept_path
from engine.runs import database, process, rows
from engine.runs.chain import Row
from engine.runs.commands import AnyCommand, Sent, encode_command
from engine.runs.database import Database
from engine.runs.errors import ENGINE_BUSY_SECONDS, DamagedRun, NotARun, RunError, RunExists
from engine.runs.log import Log, Stored, Transaction
from engine.runs.rows import CommandRow, EditRow, EditStateRow, Read, RunRow, RunState, StepRow
from engine.runs.writer import EventWriter

DATABASE, CONFIG, REPO, CHECKPOINTS, LOGS = "run.db", "config.toml", "repo", "checkpoints", "logs"
DECISIONS_LOCK = "decisions.lock"
"""The lock of the process that takes a decision (`engine.review.journal`)."""
FINAL_STATES: frozenset[State] = frozenset({"stopped", "finished", "failed"})


class Run:
    """One run directory. Make it with `create` or `open`; `close` it, or use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = Database(path / DATABASE)
        self._log = Log(self.db)
        self._lock: process.EngineLock | None = None
        try:
            row = rows.one(self.db, "run", RunRow)
        except RunError:
            self.db.close()
            raise
        self.id, self.kind, self.created = row.id, row.kind, row.created
        self.repo_path = Path(row.repo) if row.repo else path / REPO

    @classmethod
    def create(cls, path: Path | str, *, kind: str, config_text: str, repo: Path | None = None) -> Run:
        """Make a run directory at `path`, which must be absent or an empty folder, and open it.

        It appears complete or not at all. `repo` is the skill repository to work on, made if absent; by default one of
        the run's own. Raises `RunExists`, or `RunError` when the folder cannot be written.
        """
        path = Path(path).absolute()
        check_new(path, repo)
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
            check_new(path, repo)  # another process may have made a run here meanwhile
            raise RunError(f"cannot create a run at {path}: {error}; check permissions and free space") from error
        return cls(path)

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open a run directory; only to read (see `read_only`) where it may not be written.

        Raises `NotARun` when there is none, `DamagedRun` (a `NotARun`) when its identity cannot be read, and `RunError` when
        it may not be read.
        """
        path = Path(path).absolute()
        try:
            _check_folder(path)
            return cls(path)
        except OSError as error:
            raise RunError(f"cannot look into {path}: {error.strerror} ({error.filename})") from error

    def close(self) -> None:
        """Close the database connections."""
        self.db.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def read_only(self) -> str:
        """Why the run can only be read; "" where it may be written."""
        return self.db.read_only

    def check_writable(self) -> None:
        """Raise `ReadOnlyRun` where the run can only be read."""
        self.db.check_writable()

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
        """A thread-safe writer that commits in batches; a context manager. Raises `ReadOnlyRun`."""
        self.check_writable()
        return EventWriter(self._log.append, self.id)

    def append(self, *events: AnyEvent) -> None:
        """Write events at once, in one transaction. For the few events of other processes than the engine."""
        with self.transaction() as transaction:
            transaction.append(*events)

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Events and other rows, all or none. Raises `WriteFailed`, `ReadOnlyRun`."""
        return self._log.transaction()

    # Reading

    def events(
        self, after: int = 0, limit: int | None = None, kinds: Sequence[str] | None = None, until: int | None = None
    ) -> list[Stored]:
        """The events with `after` < id <= `until`, oldest first, at most `limit`, only of `kinds` (`turn_taken`, …)."""
        return self._log.read(after, limit, kinds, until)

    def stream(self, after: int = 0, kinds: Sequence[str] | None = None, until: int | None = None) -> Iterator[Stored]:
        """The same events one by one, read in pages, so that a long log is never in memory as a whole. `until` is by default
        the last id at the beginning."""
        return self._log.stream(after, kinds, until)

    def rows(self, after: int = 0, kinds: Sequence[str] | None = None, until: int | None = None) -> Iterator[list[Row]]:
        """The same events in pages as they are stored, with their checksums."""
        return self._log.rows(after, kinds, until)

    def tail(self, limit: int, kinds: Sequence[str] | None = None, until: int | None = None) -> list[Stored]:
        """The last `limit` events up to `until`, oldest first; a negative `limit` is none."""
        return self._log.tail(limit, kinds, until)

    def pick(self, ids: Sequence[int]) -> list[Stored]:
        """The events of these ids, at most some hundred, oldest first; those that the log does not have are left out."""
        return self._log.pick(ids)

    def last_id(self) -> int:
        """The id of the newest event; 0 when there is none."""
        return self._log.last_id()

    def data_version(self) -> int:
        """A number that differs from the one before when anything was committed since, by anyone. Cheap to poll."""
        return self.db.data_version()

    def state(self) -> RunState:
        """The state of the run according to its events. Raises `DamagedRun`."""
        return rows.one(self.db, "state", RunState)

    def steps(self) -> list[StepEnded]:
        """The summaries of the finished steps, in order, without those that a resume undid. Raises `DamagedRun`."""
        return [row.data for row in self.read_ended().whole() if isinstance(row.data, StepEnded)]

    def units(self) -> list[UnitEnded]:
        """The finished units of a job that plays no rollouts, in order, without those that a resume undid. Raises
        `DamagedRun`."""
        return [row.data for row in self.read_ended().whole() if isinstance(row.data, UnitEnded)]

    def last_ended(self) -> int:
        """The number of the last step or unit that ended and that no resume undid; 0 before the first. Raises
        `DamagedRun`."""
        last = rows.rows(self.db, "steps", StepRow, "ORDER BY step DESC LIMIT 1").whole()
        return last[0].step if last else 0

    def read_ended(self) -> Read[StepRow]:
        """The finished steps and units, in order, and those that cannot be read."""
        return rows.rows(self.db, "steps", StepRow, "ORDER BY step")

    def edits(self, state: EditState | None = None, *, newest: int | None = None) -> list[Edit]:
        """The edits of the review queue, oldest first; only those in `state`, only the `newest` of them, if given. Edits
        that were withheld from it are given for that state alone. Raises `DamagedRun`."""
        return [row.data for row in self.read_edits(state, newest=newest).whole()]

    def read_edits(self, state: EditState | None = None, *, newest: int | None = None) -> Read[EditRow]:
        """The same edits, and those that cannot be read."""
        where, values = ("WHERE state = ?", [state]) if state else ("WHERE state != ?", ["withheld"])
        last = [*values, -1 if newest is None else newest]
        found = rows.rows(self.db, "edits", EditRow, f"{where} ORDER BY event DESC LIMIT ?", last)
        return Read(found.values[::-1], found.damaged[::-1])

    def edit(self, edit_id: str) -> Edit:
        """One edit. Raises `RunError` when the run has none of that id, `DamagedRun` when it cannot be read."""
        found = rows.rows(self.db, "edits", EditRow, "WHERE edit = ?", [edit_id]).whole()
        if not found:
            raise RunError(
                f"{self.path} has no edit {edit_id!r}; see: skillos-engine review {shlex.quote(str(self.path))} list"
            )
        return found[0].data

    def edit_states(self) -> Read[EditStateRow]:
        """The ids of all edits and their states, cheaper than the edits."""
        return rows.rows(self.db, "edits", EditStateRow)

    def damaged(self) -> list[str]:
        """What cannot be read of the finished steps and of the states of the edits: a sentence for each row."""
        found: list[DamagedRun] = []
        for read in (self.read_ended, self.edit_states):
            try:
                found += read().damaged
            except DamagedRun as error:  # a whole table
                found.append(error)
        return [row.short for row in found]

    def count_edits(self, state: EditState) -> int:
        """How many edits are in `state`."""
        return int(self.db.one("SELECT count(*) FROM edits WHERE state = ?", [state])[0])

    # The engine process

    def lock(self) -> process.EngineLock:
        """Become the engine of this run (a context manager). Raises `RunLocked` while another engine is, and `ReadOnlyRun`.

        An engine waits longer than a person for the database.
        """
        self.check_writable()
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

    def send(self, command: AnyCommand, by: str) -> int:
        """Leave a command for the engine; `by` says who. Returns its id."""
        with self.db.transaction() as connection:
            values = (time.time(), by, encode_command(command))
            sent = connection.execute("INSERT INTO commands (at, by, data) VALUES (?, ?, ?)", values).lastrowid
        return int(sent or 0)

    def waits(self, command: int) -> bool:
        """Whether no engine has taken the command of this id yet."""
        return self.db.one("SELECT 1 FROM commands WHERE id = ?", [command]) is not None

    def withdraw(self, command: int) -> bool:
        """Take a command back. False where an engine has taken it."""
        with self.db.transaction() as connection:
            return connection.execute("DELETE FROM commands WHERE id = ?", [command]).rowcount > 0

    def take_commands(self) -> list[Sent]:
        """The commands left since the last call, oldest first. Each is given out once.

        One that cannot be read is dropped, and a notice says so.
        """
        if self.db.one("SELECT 1 FROM commands LIMIT 1") is None:
            return []
        with self.transaction() as transaction:
            left = rows.rows(self.db, "commands", CommandRow, "ORDER BY id")
            transaction.connection.execute("DELETE FROM commands")
            transaction.append(
                *(Notice("warning", f"{bad.short}; the command was dropped: send it again") for bad in left.damaged)
            )
        return [Sent(row.at, row.by, row.data) for row in left.values]


def check_new(path: Path, repo: Path | None) -> None:
    """Raises `RunExists` or `RunError` where no run can be made at `path` that works on `repo`."""
    if repo is not None and repo.absolute() == path.absolute():
        raise RunError(f"{path} cannot be the run and its skill repository; give each a directory of its own")
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise RunExists(f"{path} already exists and is not empty; give another directory for a new run")
    for place in filter(None, (path, repo)):
        above = next(each for each in (place.absolute(), *place.absolute().parents) if each.exists())
        try:
            Path(tempfile.mkdtemp(prefix=".", dir=above)).rmdir()
        except OSError as error:
            why = f"{above}: {error.strerror}"
            raise RunError(f"cannot create a run at {path}: {why}; check permissions and free space") from error


def _fill(folder: Path, run_id: str, kind: str, config_text: str, repo: Path | None) -> None:
    for name in (REPO, CHECKPOINTS, LOGS):
        if name != REPO or repo is None:
            (folder / name).mkdir()
    process.create_locks(folder)
    (folder / CONFIG).write_text(config_text, encoding="utf-8")
    database.create(folder / DATABASE, run_id, kind, time.time(), str(repo.absolute()) if repo else None)
    os.close(open_lock(folder / DECISIONS_LOCK))


def _check_folder(path: Path) -> None:
    """Raise `NotARun` for what is not a run directory or has a name that no run has, and `OSError` where that cannot be
    seen."""
    try:
        kept_path(path)
        found = path.stat()
    except BadPath as error:  # else a library refuses such a name in the middle of its work
        raise NotARun(str(error)) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotARun(f"there is no run at {path}: no such folder") from error
    if not stat.S_ISDIR(found.st_mode):
        raise NotARun(f"{path} is a file; give the directory of a run")
    if (path / database.REPAIRED).exists():
        raise DamagedRun(path, DATABASE, "a repair of it was interrupted")
    if not (path / DATABASE).exists():
        raise NotARun(f"{path} is not a run: it has no {DATABASE}; give a directory that skillos-engine made")
    for file in (path / DATABASE, path / f"{DATABASE}-wal", path / CONFIG):
        if file.exists() and not file.is_file():  # a pipe would be waited for without end
            raise NotARun(f"{path} is not a run: {file.name} is not a regular file")
