"""Work in threads, one piece at a time for each name; of the pieces that wait, only the newest is done.

    turns = Turns(start)                  # `start(name, work)` runs `work` in a thread
    turns.add("names", read_names)
    turns.add("names", read_names)        # runs after the first
    turns.add("names", read_names)        # instead of the second, if that has not begun

Python has one interpreter lock. Pieces whose answer nobody waits for any more would run beside each other, and each key
would wait for them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

Work = Callable[[], object]


class Turns:
    """The names that are worked on, and what is to be done next for each."""

    def __init__(self, start: Callable[[str, Work], None]) -> None:
        self._start = start
        self._next: dict[str, Work | None] = {}
        """By name, what waits; None while nothing waits."""
        self._ended = False
        self._lock = threading.Lock()

    def add(self, name: str, work: Work) -> None:
        """Do this for the name, after what is being done for it and instead of what waits."""
        with self._lock:
            begun = name in self._next or self._ended
            if not self._ended:
                self._next[name] = work
        if not begun:
            self._start(name, lambda: self._in_turn(name))

    def end(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._next = {name: None for name in self._next}
            self._ended = True

    def _in_turn(self, name: str) -> None:
        while (work := self._take(name)) is not None:
            try:
                work()
            except BaseException:
                with self._lock:
                    del self._next[name]
                raise

    def _take(self, name: str) -> Work | None:
        with self._lock:
            work = self._next.pop(name)
            if work is not None:
                self._next[name] = None
            return work
