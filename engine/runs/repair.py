"""Repairs a run directory: derives again what follows from the events, and saves what can be read of a damaged run.db.

    done = repair(Path("runs/r1"), by="ann")
    done.original                 # the run.db as it was, with its -wal, beside the new one
    done.lost                     # the ids of the events that could not be read: [(812, 814)]

The run is as before or repaired, whenever the process is killed: the new database is written beside the old one. Renaming it
to `run.db.repaired` is the moment that counts; from there on another repair only finishes this one, and until then
`Run.open` refuses the run. Nothing else may use the run meanwhile: the engine's lock, the lock of decisions, and SQLite's
own lock on run.db are held, since a program that had the old file open would go on to write there.

Checksums are copied, so `engine.evaluation.verify` still reports an event that was changed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from engine.config import ConfigError, load_file, parse
from engine.core.events import Notice, RunStarted, read
from engine.core.files import sync
from engine.core.locks import Locked, file_lock
from engine.core.text import counted
from engine.runs import access, projections
from engine.runs.database import REPAIRED, Database
from engine.runs.directory import CONFIG, DATABASE, DECISIONS_LOCK
from engine.runs.errors import NotARun, ReadOnlyRun, RunError, RunLocked, translate_errors
from engine.runs.log import Log
from engine.runs.process import LOCK_FILE, START_FILE, Idle, StartLock
from engine.runs.salvage import Salvaged, gaps, salvage

LOCK_SECONDS = 10.0
_SQLITE_LOCKS = 0x40000000, 512
"""Where SQLite locks a database file, and how many bytes: whoever has it open holds one of them."""
_DRAFTS = ".repair."


class Repaired(msgspec.Struct, frozen=True):
    """What a repair did. `original` is the old run.db; None where an interrupted repair was finished.

    `events` were kept, `lost` are the first and last ids of those that could not be read. `steps` and `edits` were derived
    again; `left_out` says which events they could not be derived from. `notes` says what else was replaced.
    """

    run: str
    original: str | None
    events: int
    lost: list[tuple[int, int]]
    steps: int
    edits: int
    left_out: list[str]
    notes: list[str]


def repair(path: Path | str, by: str) -> Repaired:
    """Repair the run directory at `path`, for the person `by`, whom the log names.

    Raises `NotARun` where there is nothing of a run, `ReadOnlyRun`, `RunLocked` while an engine or another program uses the
    run, and `RunError` where the disk has no space; then the run is as it was.
    """
    path = Path(path).absolute()
    file = path / DATABASE
    if not file.is_file() and not (path / REPAIRED).is_file():
        raise NotARun(f"{path} is not a run: it has no {DATABASE}; give a directory that skillos-engine made")
    if why := access.why_not_written(file):
        raise ReadOnlyRun(path, why)
    try:
        with _alone(path), _unused(file) as original:
            if (path / REPAIRED).exists():
                _publish(path)
                return _finished(path)
            return _repair(path, original, by)
    except (OSError, sqlite3.Error) as error:
        raise RunError(
            f"{path} could not be repaired and is as it was: {getattr(error, 'strerror', None) or error}"
        ) from error


def _repair(path: Path, original: int, by: str) -> Repaired:
    for left in path.glob(f"{_DRAFTS}*"):
        shutil.rmtree(left, ignore_errors=True)
    kept = _keep(path, original)
    building = Path(tempfile.mkdtemp(prefix=_DRAFTS, dir=path))
    try:
        damaged = building / DATABASE
        for source, target in zip((kept, access.beside(kept)[0]), (damaged, access.beside(damaged)[0]), strict=True):
            if source.exists():
                shutil.copyfile(source, target)
        draft = building / "draft.db"
        saved = salvage(damaged, draft, path)
        notes = [*saved.notes, *_restore_config(path, draft)]
        left_out, steps, edits = _derive(draft, saved, kept, by)
        sync(draft)
        _own(draft, os.fstat(original))
        draft.rename(path / REPAIRED)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    _publish(path)
    return Repaired(path.name, str(kept), saved.events, saved.lost, steps, edits, left_out, notes)


def _derive(draft: Path, saved: Salvaged, kept: Path, by: str) -> tuple[list[str], int, int]:
    """Derive the tables of the draft from its events, and log the repair. What was left out; steps and edits."""
    lost = f", {ranges(saved.lost)} lost" if saved.lost else ""
    notice = f"{by} repaired the run: {counted(saved.events, 'event')} kept{lost}; the original is {kept.name}"
    new = Database(draft)
    try:
        new.one("PRAGMA journal_mode = WAL")
        with new.transaction() as connection:
            left_out = projections.rebuild(connection)
        Log(new).append([(time.time(), Notice("warning", notice))])
        steps, edits = (int(new.one(f"SELECT count(*) FROM {table}")[0]) for table in ("steps", "edits"))
        new.one("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        new.close()
    return left_out, steps, edits


def _restore_config(path: Path, draft: Path) -> list[str]:
    """Write config.toml from the settings of the last start where it is lost or cannot be read. What was done."""
    config = path / CONFIG
    try:
        load_file(config)
        return []
    except ConfigError as error:
        why = str(error)
    settings = _settings(draft)
    if settings is None:
        return [f"{CONFIG} cannot be used ({why}), and the log has no settings to restore it from"]
    try:
        parse(settings)
    except ConfigError as error:
        return [f"{CONFIG} cannot be used ({why}), nor can the settings of the last start ({error})"]
    new = path / f".{CONFIG}.new"
    new.write_text(settings, encoding="utf-8")
    notes = [f"{CONFIG} was written again from the settings of the last start"]
    if config.exists():
        old = _free(config)
        os.link(config, old)
        notes = [f"{notes[0]}; the old one is {old.name}"]
    sync(new)
    new.rename(config)
    return notes


def _settings(draft: Path) -> str | None:
    """The settings of the last start in the log, as TOML."""
    connection = sqlite3.connect(draft)
    try:
        sql = "SELECT CAST(kind AS BLOB), CAST(data AS BLOB) FROM events WHERE kind = 'run_started' ORDER BY id DESC"
        for row in connection.execute(sql):
            event = read(*row)
            if isinstance(event, RunStarted) and event.settings is not None:
                return event.settings
        return None
    finally:
        connection.close()


def _finished(path: Path) -> Repaired:
    """What there is after an interrupted repair was finished."""
    done = Database(path / DATABASE)
    try:
        events, steps, edits = (
            int(done.one(f"SELECT count(*) FROM {table}")[0]) for table in ("events", "steps", "edits")
        )
        lost = done.read(gaps)
    finally:
        done.close()
    note = "an earlier repair was interrupted; it is finished now, and a notice in the log says what it did"
    return Repaired(path.name, None, events, lost, steps, edits, [], [note])


def _publish(path: Path) -> None:
    """Put the repaired database in the place of the old one, whose -wal must not be applied to it."""
    for left in access.beside(path / DATABASE):
        left.unlink(missing_ok=True)
    (path / REPAIRED).rename(path / DATABASE)
    sync(path / DATABASE)


def _keep(path: Path, original: int) -> Path:
    """Copy run.db and its -wal beside it, under a name that is free."""
    kept = _free(path / DATABASE)
    wal = access.beside(path / DATABASE)[0]
    if wal.exists():
        _copy(wal, access.beside(kept)[0])
    draft = kept.with_name(f"{_DRAFTS}{kept.name}")
    with draft.open("wb") as file:
        os.lseek(original, 0, os.SEEK_SET)
        while block := os.read(original, 1 << 20):  # closing another descriptor of the file would end SQLite's lock
            file.write(block)
    _own(draft, os.fstat(original))
    sync(draft)
    draft.rename(kept)
    return kept


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    _own(target, source.stat())
    sync(target)


def _own(file: Path, like: os.stat_result) -> None:
    """Give a file the permissions of another, and its owner where that is allowed."""
    file.chmod(like.st_mode & 0o7777)
    if os.geteuid() == 0:
        os.chown(file, like.st_uid, like.st_gid)


def _free(file: Path) -> Path:
    """A name for the old version of a file, that is not taken."""
    number = 1
    while os.path.lexists(kept := file.with_name(f"{file.name}.before-repair-{number}")):
        number += 1
    return kept


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the locks of the engine and of decisions. Raises `RunLocked`."""
    with ExitStack() as held:
        held.enter_context(StartLock(path))
        held.enter_context(Idle(path))
        try:
            held.enter_context(file_lock(path / DECISIONS_LOCK, LOCK_SECONDS))
        except Locked as error:
            raise RunLocked(f"{path} cannot be repaired now: {error}; try again") from error
        if os.geteuid() == 0:
            for name in (START_FILE, LOCK_FILE, DECISIONS_LOCK):
                os.chown(path / name, path.stat().st_uid, path.stat().st_gid)
        yield


@contextmanager
def _unused(file: Path) -> Iterator[int]:
    """A descriptor of the database, which no other process has open meanwhile. Raises `RunLocked`."""
    with translate_errors(file):
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _SQLITE_LOCKS[1], _SQLITE_LOCKS[0])
    except OSError as error:
        os.close(descriptor)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise RunLocked(
            f"{file.parent} cannot be repaired now: another program has {file.name} open; leave the workbench, or wait for "
            "the command that reads it, and try again"
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def ranges(ids: Sequence[tuple[int, int]]) -> str:
    """Ids for a person: "812-814, 900"."""
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ids)
