"""Writing events at any rate: `emit` only queues, a named thread commits a batch about every 0.1 s.

    with run.writer() as writer:
        writer.emit(Notice("info", "hello"))      # from any thread
        writer.flush()                            # everything emitted so far is on disk

When a batch cannot be written (a full disk), nothing is dropped: the batch stays queued and is tried again every
second, and meanwhile each `emit` raises and takes no more. So an engine may pause and continue when there is space, or
end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from engine.core.events import AnyEvent, decode, encode
from engine.runs.errors import ENGINE_BUSY_SECONDS, RunError, WriteFailed

BATCH_SECONDS = 0.1
RETRY_SECONDS = 1.0
FLUSH_SECONDS = ENGINE_BUSY_SECONDS + 10.0

Timed = tuple[float, AnyEvent]


class EventWriter:
    """Queues events and commits them in batches. `commit` writes a batch in one transaction, or raises `RunError`."""

    def __init__(self, commit: Callable[[Sequence[Timed]], None], name: str) -> None:
        self._commit = commit
        self._changed = threading.Condition()
        self._queue: list[Timed] = []
        self._emitted = 0
        self._written = 0
        self._failure: RunError | None = None
        self._urgent = False
        self._closing = False
        self._listeners: list[Callable[[AnyEvent], None]] = []
        self._thread = threading.Thread(target=self._work, name=f"events of {name}", daemon=True)
        self._thread.start()

    def emit(self, event: AnyEvent) -> None:
        """Queue one event, stamped with the present time. Raises `RunError` while earlier events cannot be written.

        Raises `msgspec.ValidationError` for an event whose fields are not what its type says, so that an invalid event
        is never logged.
        """
        decode(encode(event))
        with self._changed:
            if self._failure is not None:
                raise WriteFailed(str(self._failure)) from self._failure
            if self._closing:
                raise RunError("the event writer is closed")
            self._queue.append((time.time(), event))
            self._emitted += 1
            if len(self._queue) == 1:  # the thread waits for the first event of a batch only
                self._changed.notify_all()

        for hear in self._listeners:
            hear(event)

    def listen(self, hear: Callable[[AnyEvent], None]) -> None:
        """Call `hear` with each event that is emitted from now on, in the thread that emits it. It must not raise."""
        self._listeners.append(hear)

    def flush(self) -> None:
        """Return when every event emitted so far is committed. Raises `RunError` if that fails or takes `FLUSH_SECONDS`."""
        with self._changed:
            goal = self._emitted
            self._urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._written >= goal or self._failure is not None, FLUSH_SECONDS)
            if self._written >= goal:
                return
            if self._failure is not None:
                raise WriteFailed(str(self._failure)) from self._failure
        raise WriteFailed(f"{goal - self._written} events were not written within {FLUSH_SECONDS:g} s")

    def close(self) -> None:
        """Commit what is queued and end the thread. Raises `WriteFailed` when some events could not be written."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(FLUSH_SECONDS)
        if self._written < self._emitted:
            lost = self._emitted - self._written
            raise WriteFailed(f"the last {lost} events of the run were not written: {self._failure}") from self._failure

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self) -> None:
        """The thread: collect for a moment, commit, and on failure try again after a while until closed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._queue) or self._closing)
                pause = RETRY_SECONDS if self._failure is not None else BATCH_SECONDS
                self._changed.wait_for(lambda: self._urgent or self._closing, pause)
                batch = list(self._queue)
                closing, self._urgent = self._closing, False
            failure = self._try(batch) if batch else None
            with self._changed:
                self._failure = failure
                if failure is None:
                    del self._queue[: len(batch)]
                    self._written += len(batch)
                self._changed.notify_all()
                if closing and (failure is not None or not self._queue):
                    return

    def _try(self, batch: Sequence[Timed]) -> RunError | None:
        try:
            self._commit(batch)
        except RunError as failure:
            return failure
        return None
