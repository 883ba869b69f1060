"""A server's process: started through the launcher, recorded so that a later run finds it, and ended with its whole group.

    await end_orphan(record)                         # of an engine that was killed together with its launcher
    process = await Process.start(command, env, log=log, record=record)
    await process.wait()                             # its exit code
    await process.stop()
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil

from engine.core.errors import ConfigError
from engine.models.vllm import launcher

GRACE_SECONDS = 15.0
"""How long a server may take to end by itself."""
CLOCK_SECONDS = 2.0
"""How far the system's times of the same process may differ."""


class Record(msgspec.Struct, frozen=True):
    """Which process group a server is: its leader's process id, and when that began (seconds since 1970)."""

    pid: int
    started: float


class Process:
    """A server that runs, or has ended. `pid` is the leader of its group."""

    def __init__(self, starter: asyncio.subprocess.Process, pid: int, record: Path) -> None:
        self.pid = pid
        self._starter = starter
        self._record = record

    @classmethod
    async def start(cls, command: Sequence[str], env: Mapping[str, str], *, log: Path, record: Path) -> Process:
        """Start `command`, whose output is appended to `log`. Raises `ConfigError` where it is no program."""
        with log.open("ab") as output:
            starter = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", launcher.__file__, str(GRACE_SECONDS), *command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                env=dict(env),
                start_new_session=True,
            )
        assert starter.stdout is not None and starter.stdin is not None
        try:
            line = await starter.stdout.readline()
            if not line.strip().isdigit():
                raise ConfigError(f"the server cannot be started: {command[0]} is no program that can be run")
            process = cls(starter, int(line), record)
            with suppress(psutil.NoSuchProcess):
                started = psutil.Process(process.pid).create_time()
                record.write_bytes(msgspec.json.encode(Record(process.pid, started)))
            return process
        except BaseException:
            starter.stdin.close()
            raise

    @property
    def code(self) -> int | None:
        """The exit code of the server, 128 more than the signal that ended it; None while it runs."""
        return self._starter.returncode

    async def wait(self) -> int:
        """Wait until the server and all its processes have ended; its exit code."""
        code = await self._starter.wait()
        self._record.unlink(missing_ok=True)
        return code

    async def stop(self) -> None:
        """End the server with all its processes. Raises `ConfigError` where they do not end."""
        if self._starter.stdin is not None:
            self._starter.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS + launcher.KILL_SECONDS + 5):
                await self.wait()
                return
        await end_group(Record(self.pid, 0.0))

    def kill(self) -> None:
        """End the server's group at once; its launcher then ends what is left."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


async def end_orphan(record: Path) -> str:
    """End the server that `record` names where it still runs, and remove the record; a sentence of what was ended, or "".

    Raises `ConfigError` where it does not end.
    """
    try:
        found = msgspec.json.decode(record.read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        record.unlink(missing_ok=True)
        return ""
    said = ""
    if members_of(found):
        before = psutil.virtual_memory().available
        await end_group(found)
        freed = psutil.virtual_memory().available - before
        said = (
            f"a vLLM server of an earlier start of this run still ran (process {found.pid}); it was ended, and "
            f"{max(0, freed) / 2**30:.1f} GiB are available again"
        )
    record.unlink(missing_ok=True)
    return said


async def end_group(record: Record) -> None:
    """End all processes of the group: SIGTERM, then SIGKILL. Raises `ConfigError` where they do not end."""
    for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, launcher.KILL_SECONDS)):
        with suppress(ProcessLookupError):
            os.killpg(record.pid, number)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not members_of(record):
                return
            await asyncio.sleep(0.1)
    left = ", ".join(str(process.pid) for process in members_of(record))
    raise ConfigError(
        f"a vLLM server does not end, and its memory is not free: end its processes ({left}) by hand, or restart the machine"
    )


def members_of(record: Record) -> list[psutil.Process]:
    """The living processes of the group of a record; none where its number belongs to another group by now.

    A number stays in use as long as its group has a member, so a group is another one only where its leader began at another
    time, or where a member began before the record's leader.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) != record.pid or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.uids().real != os.getuid():
                return []
            age = process.create_time() - record.started
            if age < -CLOCK_SECONDS or (process.pid == record.pid and record.started and age > CLOCK_SECONDS):
                return []
            found.append(process)
    return found
