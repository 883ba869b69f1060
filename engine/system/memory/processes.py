"""The processes of a run, by name, and the others that matter for its memory.

table = ProcessTable(sources)
table.look()                       # once a second; the whole machine is only listed every `LIST_SECONDS`
table.largest(3)                   # of the whole machine, for a message
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from engine.system.memory import kernel
from engine.system.memory.sources import Sources

LIST_SECONDS = 5.0
MAX_PIDS = 20_000
MAX_NAME = 40

ENGINE, WORKBENCH, OTHER = "engine", "workbench", "other "
SERVERS = ("vllm", "llama-server", "llama_cpp", "ollama", "sglang", "tritonserver", "nim")
"""The programs of model servers."""


class Process(msgspec.Struct, frozen=True):
    """A process of the machine. `name` is what it is for the run; "other …" where it is not the run's.

    `resident` is in bytes; None where the process has just ended.
    """

    pid: int
    name: str
    resident: int | None

    @property
    def own(self) -> bool:
        """Whether it belongs to the run."""
        return not self.name.startswith(OTHER)


class ProcessTable:
    """The processes that a run's memory is about."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._stats: dict[int, kernel.ProcessStat] = {}
        self._commands: dict[tuple[int, int], list[str]] = {}
        self._names: dict[int, str] = {}
        self._listed: float | None = None

    def look(self, gpu: Iterable[int] = ()) -> list[Process]:
        """The run's processes, other model servers, and the processes `gpu`, which use the GPU. Raises `OSError` where the
        machine's processes cannot be listed."""
        now = self._sources.clock()
        if self._listed is None or now - self._listed >= LIST_SECONDS:
            self._list()
            self._listed = now
        names = dict(self._names)
        for pid in gpu:
            if pid in self._stats and pid not in names:
                names[pid] = OTHER + _clipped(self._stats[pid].name)
        found = [Process(pid, name, self._resident(pid)) for pid, name in names.items()]
        return [process for process in found if process.resident is not None]

    def all(self, group: str = "") -> list[Process]:
        """The processes of the machine when it was last listed, with what they have now; those of the run by their names.
        Only those in the control group of that path, or in groups below it."""
        stats, names = self._stats, self._names
        return [
            Process(pid, names.get(pid) or _clipped(stat.name), self._resident(pid))
            for pid, stat in stats.items()
            if not group or self._is_in(pid, group)
        ]

    def _is_in(self, pid: int, group: str) -> bool:
        return any(f"{path}/".startswith(f"{group}/") for _, path in kernel.groups(self._text(pid, "cgroup")))

    def _list(self) -> None:
        """Read the processes of the machine, and name those that matter."""
        pids = [int(name) for name in self._sources.files.names("/proc") if name.isascii() and name.isdigit()][
            :MAX_PIDS
        ]
        stats = {pid: stat for pid in pids if (stat := kernel.stat_of(self._text(pid, "stat"))) is not None}
        self._stats = stats
        known = {(pid, stat.started) for pid, stat in stats.items()}
        self._commands = {key: command for key, command in self._commands.items() if key in known}
        tree = _descendants(self._sources.pid, stats)
        names: dict[int, str] = {}
        for pid in stats:
            if (name := self._name(pid, tree)) is not None:
                names[pid] = name
        self._names = names

    def _name(self, pid: int, tree: set[int]) -> str | None:
        """What process `pid` is for the run, whose processes are `tree`; None for one that has nothing to do with it."""
        if pid == self._sources.pid:
            return ENGINE
        server = self._server(pid)
        if pid in tree:
            return server or _clipped(self._stats[pid].name)
        if self._is_workbench(pid):
            return WORKBENCH
        return OTHER + server if server else None

    def _server(self, pid: int) -> str:
        """Which model server process `pid` is; "" for none. vLLM's workers call themselves VLLM::…"""
        words = {self._stats[pid].name.lower().partition("::")[0], _program(self._command(pid)).lower()}
        return next((name for name in SERVERS if name in words), "")

    def _is_workbench(self, pid: int) -> bool:
        """Whether process `pid` is a workbench that has the run's database open."""
        run, files = self._sources.run, self._sources.files
        if run is None or _program(self._command(pid)) not in ("skillos-tui", "skillos_tui"):
            return False
        try:
            names = files.names(f"/proc/{pid}/fd")[:1000]
        except OSError:
            return False
        return any(self._opens(f"/proc/{pid}/fd/{name}", f"{run}{os.sep}") for name in names)

    def _opens(self, link: str, folder: str) -> bool:
        try:
            return self._sources.files.link(link).startswith(folder)
        except OSError:
            return False

    def _command(self, pid: int) -> list[str]:
        """The command line, read once a process."""
        key = pid, self._stats[pid].started
        if key not in self._commands:
            self._commands[key] = [word[:300] for word in kernel.command_of(self._text(pid, "cmdline"))[:8]]
        return self._commands[key]

    def _resident(self, pid: int) -> int | None:
        pages = kernel.resident_pages(self._text(pid, "statm"))
        return None if pages is None else pages * self._sources.page

    def _text(self, pid: int, name: str) -> str:
        """A file of a process; "" where it has ended, or may not be read."""
        try:
            return self._sources.files.read(f"/proc/{pid}/{name}")
        except OSError:
            return ""


def _descendants(root: int, stats: dict[int, kernel.ProcessStat]) -> set[int]:
    """The processes that descend from `root`."""
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(stat.parent, []).append(pid)
    found: set[int] = set()
    left = [root]
    while left:
        for pid in children.get(left.pop(), ()):
            if pid not in found:
                found.add(pid)
                left.append(pid)
    return found


def _program(command: list[str]) -> str:
    """The program of a command line; of Python's, the package of its module, or its script."""
    program, *rest = [*command, ""]
    if not _base(program).startswith("python"):
        return _base(program)
    for at, word in enumerate(rest[:-1]):
        if word == "-m":
            return rest[at + 1].partition(".")[0]
        if not word.startswith("-"):
            return _base(word)
    return ""


def _base(word: str) -> str:
    """The last part of a path."""
    return word[:300].rpartition("/")[2]


def _clipped(name: str) -> str:
    return name[:MAX_NAME]
