"""How much memory there is and who has it, with the source named (`workbench.md`).

    event = measure()

The host's figures are MemTotal and MemAvailable, which on a unified-memory machine are the GPU's too; the engine's is the
resident size of this process and its children. The GPU's own share is told where torch can tell it, else it is None.
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
    """Let glibc keep what this process frees. To be called before threads start; does nothing where there is no glibc.

    A decoded token replaces the key-value cache by new tensors, and fresh pages for each cost a rollout 15 % of its time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in GLIBC.items():
            mallopt(parameter, value)


def measure() -> MemoryMeasured:
    """The memory at this moment, in bytes."""
    host = psutil.virtual_memory()
    engine = psutil.Process()
    family = [engine, *engine.children(recursive=True)]
    gpu = _gpu()
    source = "host, resident set" if gpu is None else "host, resident set; GPU by torch"
    return MemoryMeasured(source, host.total, host.available, sum(_resident(process) for process in family), gpu)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _gpu() -> int | None:
    """Bytes that torch holds on the GPU; None without a GPU, or while torch is not loaded to the end."""
    torch = sys.modules.get("torch")
    if torch is None or getattr(torch.__spec__, "_initializing", False) or not torch.cuda.is_available():
        return None
    return int(torch.cuda.memory_reserved())
