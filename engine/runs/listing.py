"""The runs of a folder, looked at again and again at little cost.

    listing = RunListing(runs_home())
    summaries = listing.look()            # every run, newest first
    summaries = listing.look()            # later: reads only the runs whose files or engine have changed since

A look costs a few calls of `stat` a run. A run's database is opened when its files have changed, when its engine began or
ended, and while its state may change with time alone.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from engine.runs.directory import DATABASE, FINAL_STATES
from engine.runs.errors import RunError
from engine.runs.process import LOCK_FILE, engine_of
from engine.runs.supervisor import RunSummary, empty, newest_first, summary_of

WATCHED = (DATABASE, f"{DATABASE}-wal", LOCK_FILE)

Mark = tuple[int, int, int, int] | None
"""What distinguishes the versions of a file: inode, permissions, size, and time of the last write in ns; None
without a file. (Its time of change will not do: SQLite changes that of the log by opening it.)"""


class _Known(msgspec.Struct, frozen=True):
    """A run as it was read: its folder's permissions and its files just before, whether its engine lived, what came out."""

    mode: int | None
    marks: tuple[Mark, ...]
    alive: bool
    summary: RunSummary


class RunListing:
    """The runs in `home`. One thread at a time may look."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._known: dict[str, _Known] = {}
        self.read = 0
        """How many databases have been opened so far."""

    def look(self) -> list[RunSummary]:
        """Every run in `home`, newest first; directories that cannot be opened come last, with their problem.

        Raises `RunError` when `home` cannot be listed; without such a folder there are no runs.
        """
        try:
            with os.scandir(self.home) as entries:
                names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry))
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise RunError(f"cannot list {self.home}: {error.strerror} ({error.filename})") from error
        looked = {name: self._look(name) for name in names}
        self._known = {name: known for name, known in looked.items() if known is not None}
        return sorted((known.summary for known in self._known.values()), key=newest_first)

    def _look(self, name: str) -> _Known | None:
        """The run `name` as it is now; None for one that is gone, and for an empty folder, which a new run may be about to
        fill."""
        folder = self.home / name
        marks = tuple(_mark(f"{folder}{os.sep}{file}") for file in WATCHED)
        before = self._known.get(name)
        mode = _mode(str(folder))
        if before is not None and before.mode == mode and not _changed(before, marks, folder):
            return before
        alive = _alive(folder)
        if mode is None or (marks[0] is None and empty(folder)):
            return None
        self.read += 1
        return _Known(mode, marks, alive, summary_of(folder))


def _changed(before: _Known, marks: tuple[Mark, ...], folder: Path) -> bool:
    """Whether the run may be another one than it was. The heartbeat of an engine that lives is no change."""
    database = len(WATCHED) - 1
    if before.marks[:database] != marks[:database]:
        return True
    state = before.summary.status.state if before.summary.status else None
    if state == "starting":
        return True  # for how long an engine may take to begin is a matter of time
    if before.alive:
        return not _alive(folder)
    if before.marks[database] != marks[database]:
        return state not in FINAL_STATES or _alive(folder)
    return marks[0] is None and empty(folder)


def _mark(path: str) -> Mark:
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path would cost more than the call
    except OSError:
        return None
    return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode  # noqa: PTH116
    except OSError:
        return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _alive(folder: Path) -> bool:
    return engine_of(folder).works
