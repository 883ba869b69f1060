"""Follows the open run: its events, its engine's state, the skills of its repository.

    tail = Tail(run, job, app.post_message)
    last = tail.read_past()           # EventsRead: the events that are in the log already
    tail.follow(last, worker, stop)   # EventsRead, EngineSeen and RepoRead, until the worker is cancelled

All of it runs in the caller's thread. Messages about events are posted in the log's order, whichever thread reads them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from textual.message import Message
from textual.worker import Worker

from engine.core.events import MemoryMeasured
from engine.jobs.base import JobKind
from engine.runs.directory import Run
from engine.runs.log import Stored
from engine.runs.measured import memory_since_start, servers_of
from engine.runs.status import shown_state
from engine.skills.repo.layout import layout_of
from skillos_tui.client.folder import follow_folder
from skillos_tui.client.messages import EngineSeen, EventsRead, Notified, RepoRead
from skillos_tui.client.records import recent
from skillos_tui.model.folded import FOLDED_AGAIN, FOLDED_NEWEST, FOLDED_RECENT, FOLDED_WHOLE

PAGE = 500
"""Events of one message, at most."""
BATCH_SECONDS = 0.3
"""Events are read no more often than this, so that the screen is painted in batches."""
LOOK_SECONDS = 1.0
"""How often the engine and the repository are looked at when nothing is written."""
GONE, NOT_READ, BROKEN = 0, -1, -2
"""States of the repository folder, where its time of change is not known."""
SILENT_SECONDS = 30
"""The silence of an engine is reported in multiples of this."""


class Tail:
    """The open run. `job` is None when the run's kind is not installed."""

    def __init__(self, run: Run, job: JobKind | None, post: Callable[[Message], object]) -> None:
        self.run = run
        self.job = job
        self._post = post
        self._posting = threading.Lock()
        self._listing = threading.Lock()
        self._last = 0
        """The id of the last event that was posted."""

    @property
    def _forks(self) -> bool:
        return self.job is not None and self.job.forks

    def read_past(self) -> int:
        """Post the events that are in the log already; returns the id of the last one."""
        run, last = self.run, self.run.last_id()
        trains = self.job is not None and self.job.trains
        whole = [*FOLDED_WHOLE, *([] if trains else ["episode_ended"])]
        after = recent(run, last, forks=self._forks)
        with self._posting:
            self._post_events(run.stream(0, whole, after), live=False)
            self._post_events(run.stream(after, [*FOLDED_WHOLE, *FOLDED_RECENT], last), live=False)
            self._post_newest(last)
            self._last = last
        return last

    def _post_newest(self, last: int) -> None:
        """Post the newest event of each of `FOLDED_NEWEST`, and what of memory and servers was measured since the last
        start."""
        newest = [stored.event for kind in FOLDED_NEWEST for stored in self.run.tail(1, [kind], last)]
        newest += servers_of(self.run, last)
        memory = memory_since_start(self.run, last)
        newest += [memory.event] if memory is not None else []
        if newest:
            at = memory.at if memory is not None else None
            self._post(EventsRead(self.run.path, tuple(newest), False, last, at))

    def read_followed(self) -> None:
        """Post the newest episodes again, for a view that follows another rollout."""
        with self._posting:  # no newer event is posted before the end, so that the view folds them in order
            last = self._last
            after = recent(self.run, last, forks=self._forks)
            self._post_events(self.run.stream(after, FOLDED_AGAIN, last), live=False)

    def follow(self, last: int, worker: Worker[None], stop: threading.Event) -> None:
        """Post what is written after event `last`, until the worker is cancelled. Raises `FileNotFoundError` when the run
        was removed."""
        version, engine, repo, looked, state = -1, None, NOT_READ, 0.0, ""
        for _ in self._writes(stop):
            if worker.is_cancelled:
                return
            now = self.run.data_version()
            written, version = now != version, now
            if written:
                with self._posting:
                    last = self._post_events(self.run.stream(last), live=True) or last
                    self._last = last
            before, state = state, self.run.state().state
            if state != before or time.monotonic() - looked >= LOOK_SECONDS:
                looked = time.monotonic()
                engine = self._post_engine(engine)
                repo = self.post_repo(repo)
            stop.wait(BATCH_SECONDS)

    def _writes(self, stop: threading.Event) -> Iterator[None]:
        """One None at once, then one whenever the run's database is written, and at the latest after `LOOK_SECONDS`."""
        from watchfiles import watch

        names = {self.run.db.path.name, f"{self.run.db.path.name}-wal"}
        yield None
        for _ in watch(
            self.run.path,
            watch_filter=lambda _, name: Path(name).name in names,
            stop_event=stop,
            debounce=100,
            step=100,
            rust_timeout=int(LOOK_SECONDS * 1000),
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
        ):
            yield None

    def _post_events(self, events: Iterator[Stored], *, live: bool) -> int:
        """Post the events in pieces; returns the last id, 0 if there was no event."""
        last, piece, measured_at = 0, [], None
        for stored in events:
            last = stored.id
            piece.append(stored.event)
            if isinstance(stored.event, MemoryMeasured):
                measured_at = stored.at
            if len(piece) == PAGE:
                self._post(EventsRead(self.run.path, tuple(piece), live, last, measured_at))
                piece, measured_at = [], None
        if piece:
            self._post(EventsRead(self.run.path, tuple(piece), live, last, measured_at))
        return last

    def _post_engine(self, before: EngineSeen | None) -> EngineSeen:
        """Post the state of the engine if it has changed. Raises `FileNotFoundError` when the run was removed."""
        run = self.run
        run.db.path.stat()
        age = run.heartbeat_age() if run.engine_alive() else None
        silent = int(max(age or 0, 0) // SILENT_SECONDS * SILENT_SECONDS)
        seen = EngineSeen(run.path, shown_state(run), age is not None, silent)
        if before is None or (before.state, before.alive, before.silent) != (seen.state, seen.alive, seen.silent):
            self._post(seen)
        return seen

    def post_repo(self, before: int = NOT_READ) -> int:
        """Post the names of the repository's skills if its folder has changed since `before`; returns the folder's time of
        change in ns, or `GONE` or `BROKEN`."""
        with self._listing:  # several threads call this, and no older list is posted after a newer one
            return self._post_repo(before)

    def _post_repo(self, before: int) -> int:
        run = self.run
        try:
            changed = run.repo_path.stat().st_mtime_ns
            if changed != before:
                layout = layout_of(run.repo_path)
                self._post(RepoRead(run.path, tuple(sorted(layout.files)), layout.left_out))
        except FileNotFoundError:
            if before != GONE and run.path.is_dir():  # else the whole run was removed, which `RunLost` reports
                self._post(RepoRead(run.path, ()))
            return GONE
        except OSError as error:
            if before != BROKEN:
                self._post(Notified("error", f"cannot list the skills of {run.repo_path}: {error.strerror}"))
            return BROKEN
        return changed

    async def follow_skills(self) -> None:
        """Post the names of the skills after each change of the repository or its history, until the task is cancelled."""
        await follow_folder(self.run.repo_path, partial(asyncio.to_thread, self.post_repo))
