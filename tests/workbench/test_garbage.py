"""Garbage is collected when nobody types; what survived a collection is looked at again only rarely."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator

import pytest

from skillos_tui.terminal import garbage
from skillos_tui.terminal.garbage import DUE, WHOLE, Garbage


class Ring:
    """An object that only a collection can free."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Iterator[Garbage]:
    """The collector of a program that has just begun, in a process whose own state is restored."""
    before = gc.get_threshold()
    gc.collect()
    found = Garbage()
    found.begin()
    yield found
    gc.unfreeze()
    gc.set_threshold(*before)


def grow(collections: int) -> None:
    """As many collections of young objects as make old ones be looked at."""
    for _ in range(collections):
        gc.collect(1)


def dropped() -> weakref.ref[Ring]:
    """An old object that nobody holds any more."""
    ring = Ring()
    gc.collect(1)
    return weakref.ref(ring)


@pytest.mark.parametrize(("pause", "collections"), DUE)
def test_garbage_goes_in_a_pause_that_is_the_longer_the_less_there_is(
    found: Garbage, pause: float, collections: int
) -> None:
    ring = dropped()
    grow(collections - 2)  # one more is counted for the ring
    found.look(quiet=pause)
    assert ring() is not None
    grow(1)
    if pause:
        found.look(quiet=pause - 0.1)
        assert ring() is not None
    found.look(quiet=pause)
    assert ring() is None


def test_little_garbage_is_not_looked_for(found: Garbage) -> None:
    ring = dropped()
    found.look(quiet=29.0)
    assert ring() is not None


@pytest.mark.parametrize(("pause", "after"), WHOLE)
def test_what_was_set_aside_is_looked_at_after_a_long_time(
    found: Garbage, monkeypatch: pytest.MonkeyPatch, pause: float, after: float
) -> None:
    held = Ring()
    ring = weakref.ref(held)
    grow(DUE[0][1])
    found.look(quiet=DUE[0][0])
    assert gc.get_freeze_count() > 0
    del held
    grow(DUE[0][1])
    found.look(quiet=DUE[0][0])
    assert ring() is not None
    later = time.monotonic() + after + 1
    monkeypatch.setattr(garbage.time, "monotonic", lambda: later)
    found.look(quiet=pause - 0.1)
    assert ring() is not None
    found.look(quiet=pause)
    assert ring() is None
