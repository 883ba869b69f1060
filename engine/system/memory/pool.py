"""The memory that the run may use: the host's, or the control group's where that is less.

pool = measure_pool(files)
pool.available / pool.total
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from engine.system.memory import kernel
from engine.system.memory.sources import Texts

CGROUP = "/sys/fs/cgroup"
MEMINFO = "/proc/meminfo"
UNLIMITED = 2**60
"""What version 1 reports for a group without a limit is larger than this."""
MAX_DEPTH = 32
"""The most levels of control groups that are looked at."""


class Pool(msgspec.Struct, frozen=True):
    """Sizes in bytes; None, with a reason by the figure's name, where the machine does not report it.

    `host` is MemTotal, also where the pool is a control group's, whose path is `group`. `source` says what `total` and
    `available` are.
    """

    source: str
    total: int | None
    available: int | None
    host: int | None = None
    swap_used: int | None = None
    swap_total: int | None = None
    pressure: float | None = None
    reasons: dict[str, str] = {}
    group: str = ""


class Group(msgspec.Struct, frozen=True):
    """A control group with a limit: its folder, its path below the root, "" for the root, and its bytes."""

    folder: str
    path: str
    limit: int
    available: int


def measure_pool(files: Texts) -> Pool:
    """The pool now. Raises nothing."""
    reasons: dict[str, str] = {}
    sizes = kernel.meminfo(_text(files, MEMINFO) or "")
    total, available = sizes.get("MemTotal"), sizes.get("MemAvailable")
    for name, value in (("total", total), ("available", available)):
        if value is None:
            reasons[name] = f"{MEMINFO} does not report it"
    source, psi, host, path = MEMINFO, "/proc/pressure/memory", total, ""
    group = min(limited_groups(files), key=lambda group: group.available, default=None)
    if group is not None and (total is None or group.limit < total):
        path = group.path
        source = f"control group, limit {gib(group.limit)}"
        total, available = group.limit, min(group.available, group.limit if available is None else available)
        psi = f"{group.folder}/memory.pressure" if _text(files, f"{group.folder}/memory.pressure") else psi
        reasons = {}
    pressure = kernel.pressure(_text(files, psi) or "")
    if pressure is None:
        reasons["pressure"] = f"{psi} does not report it"
    swap_total, swap_free = sizes.get("SwapTotal"), sizes.get("SwapFree")
    swap_used = None if swap_total is None or swap_free is None else max(0, swap_total - swap_free)
    if swap_used is None:
        reasons["swap"] = f"{MEMINFO} does not report it"
    return Pool(source, total, available, host, swap_used, swap_total, pressure, reasons, path)


def limited_groups(files: Texts) -> Iterator[Group]:
    """The control groups of this process that have a limit, of version 1 or 2, from the innermost to the outermost.

    Inside a container the path of the group may be the host's, and not exist.
    """
    for version, path in kernel.groups(_text(files, "/proc/self/cgroup") or ""):
        root, read = (f"{CGROUP}/memory", _version_1) if version == 1 else (CGROUP, _version_2)
        parts = [part for part in path.split("/") if part not in ("", ".", "..")][:MAX_DEPTH]
        for depth in range(len(parts), -1, -1):
            inner = "".join(f"/{part}" for part in parts[:depth])
            if (group := read(files, root, inner)) is not None:
                yield group


def _version_1(files: Texts, root: str, path: str) -> Group | None:
    return _group(files, root, path, ["memory.limit_in_bytes"], "memory.usage_in_bytes", "total_")


def _version_2(files: Texts, root: str, path: str) -> Group | None:
    """Above memory.high the kernel almost stops the group's processes, so it is as much a limit as memory.max."""
    return _group(files, root, path, ["memory.max", "memory.high"], "memory.current", "")


def _group(files: Texts, root: str, path: str, limit_files: Sequence[str], used_file: str, prefix: str) -> Group | None:
    """The group at `path`; None without a limit. What files fill can be taken back, so it counts as available."""
    folder = root + path
    limits = [kernel.number(_text(files, f"{folder}/{name}") or "") for name in limit_files]
    limit = min((limit for limit in limits if limit is not None), default=None)
    used = kernel.number(_text(files, f"{folder}/{used_file}") or "") if limit is not None else None
    if limit is None or limit >= UNLIMITED or used is None:
        return None
    stat = kernel.counts(_text(files, f"{folder}/memory.stat") or "")
    cached = sum(stat.get(f"{prefix}{name}", 0) for name in ("inactive_file", "active_file", "slab_reclaimable"))
    return Group(folder, path, limit, max(0, min(limit, limit - used + cached)))


def _text(files: Texts, path: str) -> str | None:
    """The text of a file; None where it cannot be read."""
    try:
        return files.read(path)
    except OSError:
        return None


def gib(size: int | None) -> str:
    """Bytes for a message."""
    if size is None:
        return "an unknown amount"
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
