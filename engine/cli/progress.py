"""Progress on standard error for long work; nothing where standard error is no terminal.

with progress("verify", last=run.last_id()) as reached:
    reached(1_000)                          # "verify ━━━━━━━━━━              1,000 of 3,000,000 events, 25 s left"
with progress_of("audit", "skills") as reached:
    reached(3, 150)                         # the same for parts whose number is known later, after a second of work
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.core.output import show_progress

SHORT = 50_000
"""Work on fewer events takes about a second, and shows no bar."""
WIDTH = 30
SECONDS = 0.2
"""The bar is drawn no more often than this."""


@contextmanager
def progress(what: str, last: int) -> Iterator[Callable[[int], None]]:
    """A bar for the events up to the id `last`; the function to call with the id that was reached."""
    began = drawn = time.monotonic()

    def reached(event_id: int) -> None:
        nonlocal drawn
        now = time.monotonic()
        if last >= SHORT and now - drawn >= SECONDS:
            drawn = now
            show_progress(_bar(what, "events", event_id, last, now - began))

    try:
        yield reached
    finally:
        if drawn > began:
            show_progress("")


@contextmanager
def progress_of(what: str, parts: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for work on some `parts`; the function to call with the number that is done, and the number of all."""
    began = drawn = time.monotonic()

    def reached(done: int, total: int) -> None:
        nonlocal drawn
        now = time.monotonic()
        if now - began >= 1 and now - drawn >= SECONDS:
            drawn = now
            show_progress(_bar(what, parts, done, total, now - began))

    try:
        yield reached
    finally:
        if drawn > began:
            show_progress("")


def _bar(what: str, parts: str, done: int, total: int, seconds: float) -> str:
    share = min(1.0, done / total)
    left = seconds * (1 / share - 1) if share else 0.0
    bar = "━" * round(WIDTH * share)
    return f"{what} {bar:<{WIDTH}} {done:,} of {total:,} {parts}, {left:.0f} s left"
