"""How often the requests of a call were made again: counted by the gateway for whoever measures the call.

with counted() as retries:
    await model.complete(...)
retries.count
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Retries:
    """The retries inside a block."""

    count = 0


_counter: ContextVar[Retries | None] = ContextVar("retries", default=None)


@contextmanager
def counted() -> Iterator[Retries]:
    """Count the retries of the calls that this task makes in the block."""
    retries = Retries()
    token = _counter.set(retries)
    try:
        yield retries
    finally:
        _counter.reset(token)


def note_retry() -> None:
    """Count a retry, where somebody counts."""
    if (retries := _counter.get()) is not None:
        retries.count += 1
