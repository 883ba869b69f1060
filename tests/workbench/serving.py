"""`skillos-tui serve` for tests: the real server as a process, what it answers, and the workbenches it starts.

with Serving(run.path) as serving:
    assert serving.get("").status == 200               # below the address with the token
    assert serving.get("/", whole=True).status == 403
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

COMMAND = (sys.executable, "-m", "skillos_tui", "serve")


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    text: str
    headers: Mapping[str, str]


class Serving:
    """A server that shows `shown`, on a free port, with `environment` besides that of the tests."""

    def __init__(self, shown: Path, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "--", str(shown)], stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/([\w-]{43})/$", line.strip())
        assert found, line
        self.address, self.port, self.token = found[0], int(found[1]), found[2]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: int) -> int:
        """Send a signal, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def get(self, path: str, headers: Mapping[str, str] | None = None, *, whole: bool = False) -> Answer:
        """The answer to a request for `path` below the token, or for the `whole` path."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path if whole else f"/{self.token}/{path}", headers=dict(headers or {}))
        answer = connection.getresponse()
        found = Answer(answer.status, answer.read().decode(), dict(answer.getheaders()))
        connection.close()
        return found

    def workbenches(self) -> list[psutil.Process]:
        """The processes that the server has started."""
        return psutil.Process(self.process.pid).children()


def eventually(holds: Callable[[], object], seconds: float = 30.0) -> None:
    """Return when it holds; fail if it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:g} s"
        time.sleep(0.05)
