"""How long a thread of OpenMP waits for the others before it sleeps: `sleep_soon()`, once, before torch is imported."""

from __future__ import annotations

import os

NAME = "GOMP_SPINCOUNT"
SPINS = "10000"
"""Below 1 ms: longer than threads with a core each wait for one another, and shorter than the slice of time that another
process on their core gets."""


def sleep_soon() -> None:
    """Let threads of GNU's OpenMP, which torch has on Linux, sleep after `SPINS` turns unless the user says otherwise.

    With its 300,000 turns an update by two threads took 25 s of CPU instead of 6 s where other processes kept the cores
    busy. OpenMP takes the number from the environment only, when its library is loaded.
    """
    os.environ.setdefault(NAME, SPINS)
