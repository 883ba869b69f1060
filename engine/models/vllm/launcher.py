"""The process between the engine and a server: it ends the server with all its processes when the engine is gone.

    python -I launcher.py GRACE_SECONDS SEGMENTS COMMAND …

The server runs in a session and process group of its own. The first line on stdout is its process id, which is also that of
its group. When stdin ends (the engine closed it, or died of whatever signal) the group gets SIGTERM, and SIGKILL after the
grace. So do processes that left the group: they become children of the launcher. It exits with the server's code, 128 more
than the signal that ended it. Only the standard library is used.

A process that is killed leaves its shared memory in /dev/shm. So the launcher notes the names of the group's segments in the
file SEGMENTS, and removes those that are left at the end, and the file; `remove_segments` does so for a launcher that was
killed, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
"""The end of stdin is what ends a launcher."""
WATCH_SECONDS, PAUSE_SECONDS = 0.2, 0.05
NOTE_SECONDS = 2.0
"""How often the names of segments are looked for."""
KILL_SECONDS = 10.0
"""How long the end of killed processes is waited for."""
SHARED = Path("/dev/shm")
SEGMENT = re.compile(r"(?:psm_|sem\.mp-|torch_|nccl-)[A-Za-z0-9_.-]{1,200}")
"""The names that Python's multiprocessing, PyTorch and NCCL give to shared memory."""
MAPPED = re.compile(rf" {SHARED}/({SEGMENT.pattern})(?: \(deleted\))?$", re.MULTILINE)


def main() -> int:
    """Run the command of the command line; the exit code."""
    grace, segments, command = float(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    libc = ctypes.CDLL(None)
    if sys.platform == "linux":
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def in_child() -> None:
        if sys.platform == "linux":
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)  # the end of the launcher
        for number in IGNORED:
            signal.signal(number, signal.SIG_DFL)

    try:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True, preexec_fn=in_child
        )
    except OSError as error:
        print(f"{command[0]} cannot be started: {error.strerror}", file=sys.stderr)
        return 127
    print(server.pid, flush=True)
    family = Family(server.pid, segments)
    while family.code is None and not _ended(sys.stdin.fileno(), WATCH_SECONDS):
        family.reap()
        family.note_segments()
    family.end(grace)
    remove_segments(segments)
    return 1 if family.code is None else family.code


def _ended(pipe: int, seconds: float) -> bool:
    """Whether the engine's end of the pipe is closed, after at most so long."""
    ready, _, _ = select.select([pipe], [], [], seconds)
    return bool(ready) and not os.read(pipe, 4096)


class Family:
    """The server and the processes that it started. `code` is the server's exit code, None while it runs."""

    def __init__(self, leader: int, segments: Path) -> None:
        self._leader = leader
        self._file, self._segments = segments, frozenset[str]()
        self._next = 0.0
        self.code: int | None = None

    def reap(self) -> None:
        """Take note of processes that ended."""
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == self._leader:
                    code = os.waitstatus_to_exitcode(found[1])
                    self.code = code if code >= 0 else 128 - code

    def note_segments(self) -> None:
        """Write the names of the shared memory that the group has had so far, now and then."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + NOTE_SECONDS
        found = self._segments.union(*map(segments_of, self._left()))
        if found != self._segments:
            self._segments = found
            with contextlib.suppress(OSError):  # a full disk: what is noted so far is removed
                self._file.write_text("\n".join(sorted(found)))

    def end(self, grace: float) -> None:
        """End all: SIGTERM, then SIGKILL after the grace."""
        for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_SECONDS)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._leader, number)
            until = time.monotonic() + seconds
            while left := self._left():
                for process in left:
                    with contextlib.suppress(ProcessLookupError):
                        if os.getpgid(process) != self._leader:
                            os.kill(process, number)
                if time.monotonic() > until:
                    break
                time.sleep(PAUSE_SECONDS)
            else:
                return

    def _left(self) -> list[int]:
        """The processes of the group, and those that left it and whose parent ended, so that this one is their parent."""
        self.reap()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                with contextlib.suppress(OSError, ValueError):
                    state, parent, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
                    if state != "Z" and (int(parent) == os.getpid() or int(group) == self._leader):
                        found.append(int(folder.name))
        return found


def segments_of(process: int) -> frozenset[str]:
    """The names of the shared memory that a process has mapped; none where it has ended."""
    try:
        return frozenset(MAPPED.findall(Path(f"/proc/{process}/maps").read_text(errors="replace")))
    except OSError:
        return frozenset()


def remove_segments(file: Path) -> int:
    """Remove the shared memory that is named in a file and that no process uses any more, and the file; how many."""
    removed = 0
    try:
        noted = file.read_text(errors="replace").split("\n")
    except OSError:
        return removed
    named = [name for name in noted if SEGMENT.fullmatch(name)]
    used = frozenset[str]().union(
        *(segments_of(int(one.name)) for one in Path("/proc").iterdir() if one.name.isdecimal())
    )
    for name in named:
        if name not in used:
            with contextlib.suppress(OSError):
                (SHARED / name).unlink()
                removed += 1
    with contextlib.suppress(OSError):
        file.unlink()
    return removed


if __name__ == "__main__":
    sys.exit(main())
