"""Runs commands of `skillos-engine` in forks of one process that has imported everything: a trial takes milliseconds.

    python -m tests.benchmarks.faults.server          # the other end is `tests.benchmarks.faults.commands`

Each line of stdin is a request in JSON, each line of stdout its answer: the pid of a command that is stopped before its
first step, or the status with which it ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from engine.cli import main


def serve() -> list[str] | None:
    """Answer requests. Returns the command's arguments in the process of a command, None at the end of the input."""
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        elif "warm" in request:
            answer = _warm(request)
        else:
            pid = os.fork()
            if pid == 0:
                _become(Path(request["folder"]))
                arguments: list[str] = request["start"]
                return arguments
            os.waitpid(pid, os.WUNTRACED)
            answer = pid
        print(json.dumps(answer), flush=True)
    return None


def _warm(request: dict[str, Any]) -> int:
    """Run a command in this process, for what it imports."""
    out = os.dup(1)
    os.dup2(2, 1)
    os.chdir(request["folder"])
    try:
        return main(request["warm"])
    finally:
        sys.stdout.flush()
        os.dup2(out, 1)
        os.close(out)


def _become(folder: Path) -> None:
    """Make this process one of a command: in its folder, with its output in the file `said`, stopped until SIGCONT."""
    os.chdir(folder)
    said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(old, new)
    os.close(said)
    os.close(nothing)
    os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    given = serve()
    if given is not None:
        sys.exit(main(given))
