"""Start commands of `skillos-engine` in processes of their own, with errors injected into their system calls.

    with Commands() as commands:
        commands.warm(scene)                                       # once for each kind of command
        ended = commands.run(["review", "run", "approve", "e1"], folder, inject="fsync:error=EIO:when=3")
        ended.code, ended.said                                     # said: stdout and stderr

strace injects the errors. A process is stopped before its first step, so that strace sees all of them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.benchmarks.asked import Asked, pipe

SECONDS = 60.0
"""A command that takes longer hangs, and is killed."""


class Ended(msgspec.Struct, frozen=True):
    """How a command ended: its exit code, negative for a signal, and what it printed."""

    code: int
    said: str


class Commands(Asked):
    """A server of commands, which have everything imported. A context manager."""

    def __init__(self) -> None:
        super().__init__("tests.benchmarks.faults.server", quiet=True)

    def warm(self, arguments: Sequence[str], folder: Path) -> int:
        """Run a command in the server, for what it imports; its exit code."""
        return int(self.ask({"warm": list(arguments), "folder": str(folder)}))

    def start(self, arguments: Sequence[str], folder: Path) -> int:
        """Start a command with `folder` as its working directory; its pid. It waits for SIGCONT."""
        return int(self.ask({"start": list(arguments), "folder": str(folder)}))

    def wait(self, pid: int, folder: Path) -> Ended:
        """How a command ended; -9 after `SECONDS`."""
        impatience = threading.Timer(SECONDS, os.kill, (pid, signal.SIGKILL))
        impatience.start()
        try:
            code = int(self.ask({"wait": pid}))
        finally:
            impatience.cancel()
        return Ended(code, (folder / "said").read_text(encoding="utf-8", errors="replace"))

    def run(self, arguments: Sequence[str], folder: Path, *, inject: str = "", trace: Path | None = None) -> Ended:
        """Run a command to its end. `inject` is an injection of strace; `trace` gets its system calls."""
        pid = self.start(arguments, folder)
        tracer = _strace(pid, inject, trace) if inject or trace else None
        os.kill(pid, signal.SIGCONT)
        ended = self.wait(pid, folder)
        if tracer is not None:
            tracer.communicate()
        return ended


def cannot_inject() -> str:
    """Why errors cannot be injected here; "" where they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with Commands() as commands:
        folder = Path("/tmp")
        pid = commands.start(["--help"], folder)
        tracer = _strace(pid, "", Path(os.devnull))
        os.kill(pid, signal.SIGCONT)
        commands.wait(pid, folder)
        tracer.communicate()
    return "" if tracer.returncode == 0 else "strace may not trace processes here"


def _strace(pid: int, inject: str, trace: Path | None) -> subprocess.Popen[str]:
    """Attach strace to a process that is stopped."""
    calls = [f"--inject={inject}", f"--trace={inject.partition(':')[0]}"] if inject else []
    command = ["strace", "-f", "-y", "-p", str(pid), "-o", str(trace or os.devnull), *calls]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    for line in pipe(tracer.stderr):
        if "attached" in line:
            break
    return tracer
