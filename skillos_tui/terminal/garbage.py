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

PAUSE_SECONDS = 1.0
"""Without a key for so long, nobody waits for one."""
OLD_GARBAGE, MUCH_GARBAGE = 10, 200
"""After how many collections of young objects the others are collected too: when nobody types, and at the latest."""
NEVER = 1_000_000
WHOLE_SECONDS, WHOLE_PAUSE = 600.0, 30.0
"""All objects are collected after so long at the earliest, when nobody has typed for a while."""
WHOLE_AT_LAST = 3600.0
"""All objects are collected after so long, in any pause."""


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
        pauses = quiet >= PAUSE_SECONDS
        if pauses and past >= (WHOLE_SECONDS if quiet >= WHOLE_PAUSE else WHOLE_AT_LAST):
            self._whole = time.monotonic()
            gc.unfreeze()
        elif young < (OLD_GARBAGE if pauses else MUCH_GARBAGE):
            return
        gc.collect()
        gc.freeze()
