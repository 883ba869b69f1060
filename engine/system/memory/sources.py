"""Where the figures come from: files of the kernel, NVML, torch, the clock. Tests give others.

Sources().files.read("/proc/meminfo")
Sources(files=constructed, nvml=lambda: constructed_module)
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

MAX_BYTES = 65_536
"""The most bytes that are read of a file."""


class Texts(Protocol):
    """The texts of files under /proc and /sys."""

    def read(self, path: str) -> str:
        """The text of a file, of a long one the beginning. Raises `OSError`."""
        ...


class Files(Texts, Protocol):
    """The files under /proc and /sys. Every method raises `OSError`."""

    def names(self, path: str) -> Sequence[str]:
        """The names in a folder."""
        ...

    def link(self, path: str) -> str:
        """Where a symbolic link points."""
        ...


class RealFiles:
    """The files of this machine."""

    def read(self, path: str) -> str:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, MAX_BYTES).decode(errors="replace")
        finally:
            os.close(descriptor)

    def names(self, path: str) -> Sequence[str]:
        return os.listdir(path)  # noqa: PTH208 - Path objects would cost more than the call

    def link(self, path: str) -> str:
        return os.readlink(path)  # noqa: PTH115


def load_nvml() -> Any | None:
    """The module pynvml; None on a machine without NVIDIA's library."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    import pynvml

    return pynvml


def loaded_torch() -> Any | None:
    """The module torch; None until this process has imported it fully."""
    torch = sys.modules.get("torch")
    return None if torch is None or getattr(torch.__spec__, "_initializing", False) else torch


class Sources(msgspec.Struct, frozen=True):
    """The sources of the sampler. `pid` is the engine's; `clock` gives seconds that only grow.

    `nvml()` is the module pynvml or None without a driver, `torch()` the module torch or None while it is not loaded.
    `run` is the run's folder, by which workbenches that look at it are found.
    """

    files: Files = msgspec.field(default_factory=RealFiles)
    nvml: Callable[[], Any | None] = load_nvml
    torch: Callable[[], Any | None] = loaded_torch
    pid: int = msgspec.field(default_factory=os.getpid)
    page: int = msgspec.field(default_factory=lambda: os.sysconf("SC_PAGE_SIZE"))
    run: Path | None = None
    clock: Callable[[], float] = time.monotonic
