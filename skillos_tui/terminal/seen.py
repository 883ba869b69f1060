"""When a frame is on the person's screen: the terminal has replied to everything that was sent up to it.

    seen = Seen(now)
    seen.watch(callback)                 # a frame was painted
    seen.complete(pace.sent_frames)      # no cell differs any more after so many frames
    for callback in seen.due(pace.answered_frames, now, ever=pace.fastest is not None):
        callback()

Before the first reply, a slow line cannot be distinguished from a terminal that never replies: for `UNKNOWN_SECONDS` nothing
counts as seen, and after that everything that was sent does.
"""

from __future__ import annotations

from collections.abc import Callable

UNKNOWN_SECONDS = 4.0
"""Longer than the round trip of any usable line."""


class Seen:
    """The frames that callbacks wait for. Times are in seconds of the caller's clock."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._waiting: list[Callable[[], None]] = []
        self._sent: list[tuple[int, Callable[[], None]]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting or self._sent)

    def watch(self, callback: Callable[[], None]) -> None:
        """Wait for what has been painted until now."""
        self._waiting.append(callback)

    def complete(self, frames: int) -> None:
        """Note that all that was painted has been sent, in `frames` frames since the start."""
        self._sent += [(frames, callback) for callback in self._waiting]
        self._waiting = []

    def due(self, answered: int, now: float, *, ever: bool) -> list[Callable[[], None]]:
        """The callbacks that are due when the terminal has replied to `answered` frames; `ever` is whether it has replied
        at all since the start."""
        if not ever and now < self._began + UNKNOWN_SECONDS:
            return []
        found = [callback for frames, callback in self._sent if frames <= answered]
        self._sent = [(frames, callback) for frames, callback in self._sent if frames > answered]
        return found

    def deadline(self, *, ever: bool) -> float | None:
        """When `due` may return callbacks without a reply; None if only replies matter."""
        return None if ever or not self else self._began + UNKNOWN_SECONDS
