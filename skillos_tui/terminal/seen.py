"""When a frame is on the person's screen: the terminal has answered for everything that was sent up to it.

    seen = Seen(now)
    seen.watch(callback)                 # a frame was painted
    seen.complete(pace.sent_frames)      # no cell differs any more after so many frames
    for callback in seen.due(pace.answered_frames, now, ever=pace.fastest is not None):
        callback()

Before the terminal has ever answered, a slow line and a terminal that never answers look the same: for `UNKNOWN_SECONDS`
nothing counts as seen then, and everything that was sent does afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

UNKNOWN_SECONDS = 4.0
"""Longer than the round trip of any line that a person would work on."""


class Seen:
    """The frames whose arrival somebody waits for. Times are in seconds of the caller's clock."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._waiting: list[Callable[[], None]] = []
        self._sent: list[tuple[int, Callable[[], None]]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting or self._sent)

    def watch(self, callback: Callable[[], None]) -> None:
        """Wait for what is painted now."""
        self._waiting.append(callback)

    def complete(self, frames: int) -> None:
        """All that was painted has been sent, in `frames` frames since the start."""
        self._sent += [(frames, callback) for callback in self._waiting]
        self._waiting = []

    def due(self, answered: int, now: float, *, ever: bool) -> list[Callable[[], None]]:
        """Who need not wait any more, when the terminal has answered for `answered` frames; `ever` is whether it has
        answered at all since the start."""
        if not ever and now < self._began + UNKNOWN_SECONDS:
            return []
        found = [callback for frames, callback in self._sent if frames <= answered]
        self._sent = [(frames, callback) for frames, callback in self._sent if frames > answered]
        return found

    def deadline(self, *, ever: bool) -> float | None:
        """When `due` may have something although nothing is answered; None when only answers matter."""
        return None if ever or not self else self._began + UNKNOWN_SECONDS
