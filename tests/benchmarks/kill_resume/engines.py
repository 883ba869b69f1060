"""Real engines in forks of one process that has imported their libraries, so that a start takes a second.

    with Engines() as engines:
        ended = engines.run(path, Trap("update", seconds=0.2))
        ended.killed, ended.phases               # "update", the phases that it passed

Run as a module it is the process that forks: each line of stdin is a request in JSON, each line of stdout its answer.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks.asked import Asked
from tests.benchmarks.kill_resume.traps import Trap

NOTES = "kill-notes"
"""Beside the run's directory, with its name before it: what the engine's trap wrote."""


class Passed(msgspec.Struct, frozen=True):
    """A phase that an engine passed through, and how many file operations among the checkpoints it had."""

    passed: str
    seconds: float
    operations: int


class Ended(msgspec.Struct, frozen=True):
    """How an engine ended: its exit code (-9: killed), the phase in which it was killed, and the phases before it."""

    code: int
    killed: str
    phases: list[Passed]


class Engines(Asked):
    """Starts engines. A context manager."""

    def __init__(self) -> None:
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        super().__init__(__name__, environment=single)

    def run(self, path: Path, trap: Trap) -> Ended:
        """Run the engine of a run until it ends or is killed."""
        notes = path.with_name(f"{path.name}.{NOTES}")
        notes.unlink(missing_ok=True)
        request = {"run": str(path), "notes": str(notes), "trap": msgspec.to_builtins(trap)}
        code = int(self.ask(request))
        lines = [json.loads(line) for line in notes.read_text().splitlines()]
        killed = next((line["killed"] for line in lines if "killed" in line), "")
        return Ended(code, killed, [msgspec.convert(line, Passed) for line in lines if "passed" in line])


def serve() -> dict[str, Any] | None:
    """Answer requests with the exit code of an engine. Returns the request in the process of an engine, None at the end."""
    import engine.training.trainer
    import engine.worker  # noqa: F401

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            request: dict[str, Any] = json.loads(line)
            return request
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def become(request: dict[str, Any]) -> None:
    """Make this process the engine of a run, as its supervisor starts one."""
    from engine.worker import main
    from tests.benchmarks.kill_resume.traps import set_trap

    run = Path(request["run"])
    log = os.open(run / "logs" / "engine.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(old, new)
    os.chdir(run)
    set_trap(msgspec.convert(request["trap"], Trap), Path(request["notes"]))
    sys.argv = ["engine.worker", str(run)]
    main()


if __name__ == "__main__":
    given = serve()
    if given is not None:
        become(given)
