"""How glibc keeps freed memory: `keep_freed()`, once, before threads start."""

from __future__ import annotations

import ctypes
from types import MappingProxyType

GLIBC = MappingProxyType({-8: 1, -3: 2**25, -1: 2**31 - 1, -2: 2**28})
"""M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD of malloc.h; the last three in bytes."""


def keep_freed() -> None:
    """Make glibc keep freed memory in the process. Call it before threads start. Does nothing without glibc.

    Each decoded token replaces the tensors of the key-value cache. New pages for each of them cost 15 % of a rollout's time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in GLIBC.items():
            mallopt(parameter, value)
