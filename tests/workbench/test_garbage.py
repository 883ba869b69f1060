"""Garbage is collected when nobody types; what survived a collection is looked at again only rarely."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator

import pytest

from skillos_tui.terminal import garbage
from skillos_tui.terminal.garbage import MUCH_GARBAGE, OLD_GARBAGE, WHOLE_AT_LAST, WHOLE_PAUSE, WHOLE_SECONDS, Garbage


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


def test_old_garbage_stays_while_somebody_types_and_goes_in_a_pause(found: Garbage) -> None:
    ring = dropped()
    grow(OLD_GARBAGE)
    found.look(quiet=0.2)
    assert ring() is not None
    found.look(quiet=1.5)
    assert ring() is None


def test_much_garbage_goes_while_somebody_types(found: Garbage) -> None:
    ring = dropped()
    grow(MUCH_GARBAGE)
    found.look(quiet=0.0)
    assert ring() is None


def test_little_garbage_is_not_looked_for(found: Garbage) -> None:
    ring = dropped()
    found.look(quiet=5.0)
    assert ring() is not None


@pytest.mark.parametrize(("quiet", "after"), [(WHOLE_PAUSE, WHOLE_SECONDS), (1.0, WHOLE_AT_LAST)])
def test_what_was_set_aside_is_looked_at_after_a_long_time(
    found: Garbage, monkeypatch: pytest.MonkeyPatch, quiet: float, after: float
) -> None:
    held = Ring()
    ring = weakref.ref(held)
    grow(OLD_GARBAGE)
    found.look(quiet=2.0)
    assert gc.get_freeze_count() > 0
    del held
    grow(OLD_GARBAGE)
    found.look(quiet=2.0)
    assert ring() is not None
    later = time.monotonic() + after + 1
    monkeypatch.setattr(garbage.time, "monotonic", lambda: later)
    found.look(quiet=0.5)
    assert ring() is not None
    found.look(quiet=quiet)
    assert ring() is None
