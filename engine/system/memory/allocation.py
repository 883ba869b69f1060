"""What glibc does with freed memory.

keep_freed()                # once, before threads start: the process keeps it
with returning_freed():     # in here, that of tensors of a MiB and more goes back to the system at once
    ...
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

ARENAS, MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD = -8, -3, -1, -2
"""M_ARENA_MAX and three sizes in bytes of malloc.h: blocks of M_MMAP_THRESHOLD and more have a mapping of their own, which
ends when they are freed; the heap shrinks when more than M_TRIM_THRESHOLD is free at its end, and grows by M_TOP_PAD more
than is needed."""
KEPT = MappingProxyType({MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**31 - 1, TOP_PAD: 2**28})
RETURNED = MappingProxyType({MMAP_THRESHOLD: 2**20, TRIM_THRESHOLD: 2**22, TOP_PAD: 2**20})


def keep_freed() -> None:
    """Make glibc keep freed memory in the process. Call it before threads start. Does nothing without glibc.

    Each decoded token replaces the tensors of the key-value cache. New pages for each of them cost 15 % of a rollout's time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(ARENAS, 1)
        _set(mallopt, KEPT)


@contextmanager
def returning_freed() -> Iterator[None]:
    """In here, freed tensors of a MiB and more are no longer part of the process. Does nothing without glibc.

    PyTorch asks for aligned memory. glibc 2.36 takes more than the size of the tensor and returns the rest, so the gap that
    a tensor leaves in the heap is too small for the next one of the same size. An update of 0.16 billion parameters over
    2,048 tokens grew to 2.9 GB in place of 1.7 GB. A tensor that fits into the free end of the heap is put there, whatever
    its size, so that end is kept short: it was 0.25 GB of an update's peak. New pages for each tensor cost up to half of the
    CPU time.
    """
    libc = ctypes.CDLL(None)
    mallopt, trim = getattr(libc, "mallopt", None), getattr(libc, "malloc_trim", None)
    if mallopt is None or trim is None:
        yield
        return
    _set(mallopt, RETURNED)
    trim(0)
    try:
        yield
    finally:
        _set(mallopt, KEPT)


def _set(mallopt: Any, values: Mapping[int, int]) -> None:
    for parameter, value in values.items():
        mallopt(parameter, value)
