"""Python's garbage collection, at moments when no key waits for it.

    garbage = Garbage()
    garbage.begin()
    garbage.look(quiet=1.2)       # every second: nobody has typed for 1.2 s

A collection that looks at all objects of the workbench takes 30 to 200 ms, and a key that is pressed meanwhile waits for it.
So Python collects young objects only. Those that have survived are collected when nobody types, and are then set aside
(`gc.freeze`), so that the next collection looks at what is new. What was set aside is looked at rarely.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence

LOOK_SECONDS = 1.0
"""How often `look` is to be called."""
DUE: Sequence[tuple[float, int]] = ((5.0, 3), (1.0, 12), (0.0, 40))
"""Old objects are collected after so many seconds without a key, and so many collections of young objects: three take 30 ms,
and a key often comes a second after another, rarely five."""
NEVER = 1_000_000
WHOLE: Sequence[tuple[float, float]] = ((30.0, 600.0), (5.0, 3600.0))
"""All objects are collected after so many seconds without a key, and so many since that was done last."""


class Garbage:
    """What was set aside, and since when."""

    def __init__(self) -> None:
        self._whole = time.monotonic()

    def begin(self) -> None:
        """Leave the collection of old objects to `look`."""
        gc.enable()
        gc.set_threshold(*gc.get_threshold()[:2], NEVER)

    def look(self, quiet: float) -> None:
        """Collect what is due now; nobody has typed for `quiet` seconds."""
        young, past = gc.get_count()[2], time.monotonic() - self._whole
        if any(quiet >= pause and past >= seconds for pause, seconds in WHOLE):
            self._whole = time.monotonic()
            gc.unfreeze()
        elif not any(quiet >= pause and young >= collections for pause, collections in DUE):
            return
        gc.collect()
        gc.freeze()
