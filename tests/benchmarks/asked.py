"""A helper process of a benchmark, which answers each request, one line of JSON, with one line of JSON.

with Asked("tests.benchmarks.faults.server") as helper:
    code = helper.ask({"wait": 812})
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Any, Self

ROOT = Path(__file__).parents[2]


class Asked:
    """The process of the module `module`. A context manager: the process ends with the block."""

    def __init__(
        self, module: str, *, environment: Mapping[str, str] = MappingProxyType({}), quiet: bool = False
    ) -> None:
        """`environment` is added to that of this process; `quiet`: what it prints on stderr is not shown."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pipe(self._process.stdin).close()
        self._process.wait()
        pipe(self._process.stdout).close()

    def ask(self, request: Mapping[str, Any]) -> Any:
        """The answer to a request."""
        print(json.dumps(request), file=pipe(self._process.stdin), flush=True)
        return json.loads(pipe(self._process.stdout).readline())


def pipe(stream: IO[str] | None) -> IO[str]:
    """A stream of a process that has one."""
    assert stream is not None
    return stream
