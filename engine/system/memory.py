"""Measure the memory of the host, the engine and the GPU; each figure names its source (`workbench.md`).

    event = measure()

The host's figures are MemTotal and MemAvailable, which include the GPU's on a unified-memory machine. The engine's figure is
the resident set size of this process and its children. The GPU's figure is what torch has reserved, None where unknown.
"""

from __future__ import annotations

import ctypes
import sys
from types import MappingProxyType

import psutil

from engine.core.events import MemoryMeasured

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


def measure() -> MemoryMeasured:
    """The present memory use, in bytes."""
    host = psutil.virtual_memory()
    engine = psutil.Process()
    processes = [engine, *engine.children(recursive=True)]
    gpu = _gpu()
    source = "host, resident set" if gpu is None else "host, resident set; GPU by torch"
    return MemoryMeasured(source, host.total, host.available, sum(_resident(process) for process in processes), gpu)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _gpu() -> int | None:
    """The bytes that torch has reserved on the GPU. None without a GPU, and until torch is fully imported."""
    torch = sys.modules.get("torch")
    if torch is None or getattr(torch.__spec__, "_initializing", False) or not torch.cuda.is_available():
        return None
    return int(torch.cuda.memory_reserved())
