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
from typing import BinaryIO

import msgspec
import psutil

from engine.core.errors import ConfigError
from engine.models.vllm import launcher

GRACE_SECONDS = 15.0
"""How long a server may take to end by itself."""
FREEING, FREEING_SECONDS, FREED_BYTES = 20, 0.5, 64 << 20
"""How often memory that is being freed is looked at, how long apart, and what counts as growth."""
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
    async def start(
        cls, command: Sequence[str], env: Mapping[str, str], *, log: Path, record: Path, grace: float = GRACE_SECONDS
    ) -> Process:
        """Start `command`, whose output is appended to `log`. It may take `grace` seconds to end. Raises `ConfigError` where
        it is no program."""
        with _appended(log) as output:
            starter = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", launcher.__file__, str(grace), str(segments_file(record)), *command),
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
            _write(record, process.pid)
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
        _forget(self._record)
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
        with suppress(ProcessLookupError):
            self._starter.kill()  # a launcher that was stopped; it has nothing more to end
        launcher.remove_segments(segments_file(self._record))

    def kill(self) -> None:
        """End the server's group at once; its launcher then ends what is left."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


async def end_orphan(record: Path, grace: float = GRACE_SECONDS) -> str:
    """End the server that `record` names where it still runs, and remove the record; a sentence of what was ended, or "".

    Raises `ConfigError` where it does not end.
    """
    found = _read(record)
    if found is None or not members_of(found):
        launcher.remove_segments(segments_file(record))
        _forget(record)
        return ""
    before = psutil.virtual_memory().available
    await end_group(found, grace)
    launcher.remove_segments(segments_file(record))
    freed = await _available() - before
    _forget(record)
    return (
        f"a vLLM server of an earlier start of this run still ran (process {found.pid}); it was ended, and "
        f"{max(0, freed) / 2**30:.1f} GiB are available again"
    )


async def _available() -> int:
    """The bytes of memory that are available when they grow no more: a driver frees a device's memory a little later."""
    seen = psutil.virtual_memory().available
    for _ in range(FREEING):
        await asyncio.sleep(FREEING_SECONDS)
        now = psutil.virtual_memory().available
        if now < seen + FREED_BYTES:
            break
        seen = now
    return int(psutil.virtual_memory().available)


def segments_file(record: Path) -> Path:
    """Where the launcher notes the shared memory of the server of a record."""
    return record.with_suffix(".shm")


def _appended(log: Path) -> BinaryIO:
    return log.open("ab")


def _write(record: Path, pid: int) -> None:
    """Record a process; nothing where it has ended by now."""
    with suppress(psutil.NoSuchProcess):
        record.write_bytes(msgspec.json.encode(Record(pid, psutil.Process(pid).create_time())))


def _read(record: Path) -> Record | None:
    """What is recorded; None where there is nothing that can be read."""
    try:
        return msgspec.json.decode(record.read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _forget(record: Path) -> None:
    record.unlink(missing_ok=True)


async def end_group(record: Record, grace: float = GRACE_SECONDS) -> None:
    """End all processes of the group: SIGTERM, then SIGKILL. Raises `ConfigError` where they do not end."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, launcher.KILL_SECONDS)):
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
