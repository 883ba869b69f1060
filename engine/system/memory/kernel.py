"""What the files of the Linux kernel say about memory, parsed. Texts are hostile: what does not parse is None.

meminfo("MemTotal: 24684084 kB\\n…")["MemTotal"]           # bytes
pressure("some avg10=0.12 …")                             # 0.0012
stat_of("12 (a name) S 1 …")                              # ProcessStat("a name", parent=1, started=…)
"""

from __future__ import annotations

import re

import msgspec

MAX_TEXT = 65_536
"""The most characters of a file that are looked at."""
_SIZE = re.compile(r"^([A-Za-z()_0-9]{1,40}):\s+(\d{1,18})(?: kB)?\s*$", re.MULTILINE)
_COUNT = re.compile(r"^([a-z_]{1,40}) (\d{1,20})$", re.MULTILINE)
_SOME = re.compile(r"^some avg10=(\d{1,3}(?:\.\d{1,4})?)\b", re.MULTILINE)
_NUMBER = re.compile(r"\d{1,20}")


class ProcessStat(msgspec.Struct, frozen=True):
    """Of `/proc/PID/stat`: the name, the parent's pid, and the time of the start in clock ticks since boot."""

    name: str
    parent: int
    started: int


def meminfo(text: str) -> dict[str, int]:
    """The sizes of `/proc/meminfo`, in bytes."""
    return {name: int(size) * 1024 for name, size in _SIZE.findall(text[:MAX_TEXT])}


def counts(text: str) -> dict[str, int]:
    """The lines "name number" of a control group's `memory.stat`; sizes are in bytes."""
    return {name: int(count) for name, count in _COUNT.findall(text[:MAX_TEXT])}


def number(text: str) -> int | None:
    """A file that is one number; None for "max", and for anything else."""
    found = _NUMBER.fullmatch(text.strip()[:32])
    return int(found[0]) if found else None


def groups(text: str) -> list[tuple[int, str]]:
    """The control groups that count the memory of a process, of `/proc/PID/cgroup`: the version, 1 or 2, and the path."""
    found = []
    for row in text[:MAX_TEXT].splitlines()[:64]:
        name, _, rest = row.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            found.append((1, path))
        elif name == "0" and not controllers and path:
            found.append((2, path))
    return found


def pressure(text: str) -> float | None:
    """The share of the last 10 s in which some task waited for memory, in [0, 1], of `/proc/pressure/memory`."""
    found = _SOME.search(text[:MAX_TEXT])
    share = float(found[1]) / 100 if found else 2.0
    return share if share <= 1 else None


def stat_of(text: str) -> ProcessStat | None:
    """The parts of `/proc/PID/stat` that are used. The name may contain blanks and parentheses."""
    start, _, rest = text[:MAX_TEXT].partition(" (")
    name, found, after = rest.rpartition(") ")
    fields = after.split()
    if not (found and _NUMBER.fullmatch(start) and len(fields) > 19):
        return None
    parent, started = number(fields[1]), number(fields[19])
    return None if parent is None or started is None else ProcessStat(name, parent, started)


def resident_pages(text: str) -> int | None:
    """The resident pages of `/proc/PID/statm`."""
    fields = text[:256].split()
    return number(fields[1]) if len(fields) > 1 else None


def command_of(text: str) -> list[str]:
    """The arguments of `/proc/PID/cmdline`."""
    return text[:MAX_TEXT].rstrip("\0").split("\0")
