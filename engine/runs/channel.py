"""What an engine that is started before its run exists, and the process that started it, send each other.

One JSON object a line. The engine reads its standard input and writes its standard output: a `Request` comes in, any number
of `Loading` and `Made` and one `Ready` go out, and a `Begin` comes in once the run exists. The end of the input means that
no run will be made.

    channel = Channel()                    # in the engine's process: what it prints goes to its log from then on
    request = channel.request()
    channel.tell(Made(check))
    channel.tell(Ready())
    begin = channel.begin()                # waits; None: no run is made
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from engine.core.errors import SkillosError
from engine.core.records import Check

FLAG = "--prepare"
"""The argument of a worker that gets its run later, in the place of the run's directory."""


class Request(msgspec.Struct, frozen=True):
    """A run that is to be prepared: its kind, its settings as TOML, a folder on the disk that it will be written to, the
    folder of logs, and the names of checks that are overridden already."""

    kind: str
    settings: str
    place: str
    logs: str
    overridden: list[str] = []


class Begin(msgspec.Struct, frozen=True):
    """The run's directory, which exists now, and the names of failing checks that a person lets pass."""

    run: str
    overridden: list[str] = []


class Loading(msgspec.Struct, frozen=True, tag="loading"):
    """What is loaded or tried now."""

    what: str


class Made(msgspec.Struct, frozen=True, tag="check"):
    """A check's result."""

    check: Check


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """All checks are made; the engine waits for its run."""


Report: TypeAlias = Loading | Made | Ready


class ChannelBroken(SkillosError):
    """The process at the other end is gone, or sent what is no message."""


class Channel:
    """The engine's end. Everything else that the process prints goes to standard error."""

    def __init__(self) -> None:
        self._rest = b""
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        sys.stdout.flush()
        os.dup2(2, 1)

    def request(self) -> Request:
        """What is to be prepared. Raises `ChannelBroken`."""
        try:
            return msgspec.json.decode(self._line(), type=Request)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ChannelBroken(f"no request for a run was read: {error}") from error

    def _line(self) -> bytes:
        """The next line of the input, "" at its end. `sys.stdin` is not used: a thread that waits in it would hold its lock
        while the process ends."""
        while b"\n" not in self._rest and (read := os.read(0, 65_536)):
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def tell(self, report: Report) -> None:
        """Send a report. Raises `ChannelBroken` where nobody reads it."""
        try:
            self._out.write(msgspec.json.encode(report) + b"\n")
        except OSError as error:
            raise ChannelBroken("the command that asked for the run has ended, so none is made") from error

    def begin(self) -> Begin | None:
        """Wait for the run; None where none is made. Raises `ChannelBroken`."""
        line = self._line()
        if not line:
            return None
        try:
            return msgspec.json.decode(line, type=Begin)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ChannelBroken(f"the run to begin was not understood: {error}") from error

    def watch(self, found: Callable[[Begin | None], object]) -> None:
        """Call `found` with the result of `begin`, from a thread that no end of the process waits for. What is not
        understood is as if no run were made."""

        def wait() -> None:
            try:
                begin = self.begin()
            except ChannelBroken as error:
                print(error, file=sys.stderr, flush=True)
                begin = None
            found(begin)

        threading.Thread(target=wait, name="waits for the run", daemon=True).start()


def report_of(line: bytes) -> Report:
    """The report in a line. Raises `msgspec.DecodeError`."""
    report: Report = msgspec.json.decode(line, type=Report)
    return report
