"""The life of a vLLM server: started, watched, started again after a crash, and stopped. Or one that others run.

    server = OwnServer(settings, opening, weights, folder=logs, name="vllm")
    await server.start()                     # raises ConfigError that says what to change
    server.restored = adapters.restore       # awaited after each later start, before requests go on
    mark = server.mark                       # before a request
    if await server.lost(mark): …            # after one that failed: the server has ended since; make the request again
    await server.stop()

While a server is down, its requests wait (`up`), and `Holds` pause the run with the reason. One that ends too often stays
down until a person resumes the run.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import psutil

from engine.core.errors import ConfigError, SkillosError
from engine.core.events import Notice
from engine.core.holds import Holds
from engine.models.base import ModelUnavailable, Opening
from engine.models.sections import in_section
from engine.models.vllm import command
from engine.models.vllm.api import Api
from engine.models.vllm.faults import quoted, reason_of, tail
from engine.models.vllm.process import GRACE_SECONDS, Process, end_orphan
from engine.models.vllm.settings import VllmModelSettings

POLL_SECONDS = 0.25
NOTICED_SECONDS = 5.0
"""How long after a failed request the end of the process may be noticed: a server answers 500 before it ends."""
HOUR = 3600.0
PAUSE_SECONDS, MOST_PAUSE_SECONDS = 1.0, 30.0


async def _nothing() -> None:
    """Nothing is to be restored."""


class OtherServer:
    """A server that somebody else runs at `url`. It is neither started nor stopped. While it does not answer a request that
    is no chat (chats have a gateway), `holds` pause the run."""

    def __init__(self, url: str, key: str = "", holds: Holds | None = None) -> None:
        self.url = url
        self._holds = holds or Holds()
        self.api = Api(url, key)
        self.restored: Callable[[], Awaitable[None]] = _nothing
        self.mark = 0

    async def start(self) -> None:
        """Raises `ConfigError` where no vLLM answers at the address."""
        try:
            await self.api.models()
        except ModelUnavailable as error:
            raise ConfigError(
                f"no vLLM server answers at model.url={self.url} ({error}): start it, correct the address, or set model.url "
                "to '' to have one started"
            ) from error

    async def up(self) -> None:
        """Nothing is known of it but its answers."""

    async def lost(self, mark: int) -> bool:
        """Whether the server did not answer at all, so that a failed request is to be made again: it does now."""
        if await self.api.healthy():
            return False
        name, asked, wait = f"vllm {self.url}", asyncio.Event(), PAUSE_SECONDS

        def hold() -> None:
            why = f"the vLLM server at {self.url} does not answer; the run waits, and goes on when it does"
            self._holds.hold(name, f"{why}: start it again, or resume the run to ask it at once", ask_now)

        def ask_now() -> None:
            asked.set()
            hold()

        hold()
        try:
            while not await self.api.healthy():
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await asked.wait()
                asked.clear()
                wait = min(2 * wait, MOST_PAUSE_SECONDS)
            await self.restored()
        finally:
            self._holds.lift(name)
        return True

    async def restart(self, reason: str) -> bool:
        """Whether it is started again: no."""
        return False

    async def stop(self) -> None:
        """Close the connections."""
        await self.api.close()


class OwnServer:
    """A server that this process starts, over the weights in a folder. `opening.lora_rank` is the largest rank of its
    adapters. Its log and the record of its process are in `folder`, by its `name`; it may take `grace` seconds to end."""

    def __init__(
        self,
        settings: VllmModelSettings,
        opening: Opening,
        weights: str,
        *,
        folder: Path,
        name: str,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._settings = settings
        self._opening = opening
        self._weights = weights
        self._log, self._record = folder / f"{name}.log", folder / f"{name}.json"
        self._name = name
        self._grace = grace
        self._port = settings.port or _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.api = Api(self.url)
        self.restored: Callable[[], Awaitable[None]] = _nothing
        self.mark = 0
        self._up = asyncio.Event()
        self._process: Process | None = None
        self._began_at = 0
        self._watching: asyncio.Task[None] | None = None
        self._ends: list[float] = []
        self._why = ""

    async def start(self) -> None:
        """End the orphan of an earlier start, start the server, and wait until it answers. Raises `ConfigError`."""
        if said := await end_orphan(self._record, self._grace):
            self._opening.emit(Notice("warning", said))
        self._opening.report("the vLLM server (this takes half a minute to minutes)")
        await self._begin()
        self._up.set()
        self._watching = asyncio.create_task(self._watch(), name=f"watch over {self._name}")
        self._watching.add_done_callback(self._not_watched)

    async def up(self) -> None:
        """Wait until the server answers."""
        await self._up.wait()

    async def lost(self, mark: int) -> bool:
        """Whether the server has ended since its `mark` was taken, so that a request of then is to be made again."""
        if self.mark == mark and self._up.is_set() and self._process is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(NOTICED_SECONDS):
                    await self._process.wait()
                    while self._up.is_set() and self.mark == mark:
                        await asyncio.sleep(POLL_SECONDS)
        return self.mark != mark or not self._up.is_set()

    async def restart(self, reason: str) -> bool:
        """End the server, so that it is started again; `reason` is shown."""
        if self._process is not None and self._up.is_set():
            self._why = reason
            self._process.kill()
        return True

    async def stop(self) -> None:
        """End the server and all its processes, and close the connections."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        self._up.clear()
        if self._process is not None:
            await self._process.stop()
        await self.api.close()
        self._opening.holds.lift(self._name)

    # One start.

    async def _begin(self) -> None:
        """Start the process and wait until it answers. However this ends early, the process has ended."""
        _check_port(self._port)
        self._began_at = self._log.stat().st_size if self._log.exists() else 0
        cpu = await asyncio.to_thread(command.is_for_cpu, self._settings)
        words = command.command(self._settings, self._weights, self._port, lora_rank=self._opening.lora_rank, cpu=cpu)
        env = command.environment(self._settings, os.environ)
        try:
            process = await Process.start(words, env, log=self._log, record=self._record, grace=self._grace)
        except OSError as error:
            raise ConfigError(
                f"the vLLM server cannot be started with its log in {self._log.parent}: {error.strerror or error}"
            ) from error
        try:
            await self._ready(process)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(process.stop()))
            raise
        self._process = process

    async def _ready(self, process: Process) -> None:
        """Wait until the server is healthy. Raises `ConfigError` where it ends, or takes too long."""
        until = time.monotonic() + self._settings.start_seconds
        while not await self.api.healthy():
            if process.code is not None:
                raise ConfigError(f"the vLLM server did not start: {self._reason(process.code)}")
            if time.monotonic() > until:
                raise ConfigError(
                    f"the vLLM server did not answer in model.start_seconds={self._settings.start_seconds:g}: raise it if "
                    f"the log {self._log} shows that it still loads; its last line: {_last_line(self._said())}"
                )
            await asyncio.sleep(POLL_SECONDS)

    def _said(self) -> str:
        """What the present process has logged."""
        return tail(self._log, self._began_at)

    def _reason(self, code: int) -> str:
        return reason_of(self._said(), code, self._settings, self._log)

    # Watching.

    async def _watch(self) -> None:
        """Start the server again whenever it ends."""
        while True:
            assert self._process is not None
            code = await self._process.wait()
            self._up.clear()
            self.mark += 1
            why = self._why or f"it ended in the middle of work: {self._reason(code)}"
            self._why = ""
            await self._again(why)

    def _not_watched(self, watching: asyncio.Task[None]) -> None:
        """The watch ended: by a bug, if it was not cancelled. Requests would wait without a word."""
        if not watching.cancelled() and (error := watching.exception()) is not None:
            self._hold(
                f"the vLLM server is not watched any more ({type(error).__name__}: {error}): stop and resume the run"
            )

    async def _again(self, why: str) -> None:
        """Start the server and restore its adapters, until that works; then let requests go on."""
        self._opening.emit(Notice("warning", self._named(f"the vLLM server is started again: {why}")))
        while True:
            now = time.monotonic()
            self._ends = [end for end in self._ends if now - end < HOUR]
            if len(self._ends) >= self._settings.restarts:
                await self._wait_for_a_person(why)
            self._ends.append(now)
            self._hold(f"the vLLM server is started again: {why}")
            try:
                await self._begin()
                await self.restored()
            except SkillosError as error:
                why = str(error)
                await self._end_failed()
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            self._up.set()
            self._opening.holds.lift(self._name)
            return

    async def _end_failed(self) -> None:
        """End a server that started and whose adapters could not be restored."""
        if self._process is not None and self._process.code is None:
            await self._process.stop()

    async def _wait_for_a_person(self, why: str) -> None:
        asked = asyncio.Event()
        self._hold(
            f"the vLLM server ended {len(self._ends)} times in an hour (model.restarts={self._settings.restarts}), the last "
            f"time because {why}; resume the run to start it again",
            asked.set,
        )
        await asked.wait()
        self._ends.clear()

    def _hold(self, reason: str, on_resume: Callable[[], None] | None = None) -> None:
        self._opening.holds.hold(self._name, self._named(reason), on_resume)

    def _named(self, message: str) -> str:
        """The message with the section that the settings are from."""
        return in_section(message, self._opening.section, self._settings)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _check_port(port: int) -> None:
    """Raises `ConfigError` where another process has the port."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(
                f"model.port={port} cannot be used ({error.strerror}){_holder(port)}: set model.port=0 for a free one, stop "
                "that process, or set model.url to its address if it is the server that is meant"
            ) from error


def _holder(port: int) -> str:
    """Which process listens on the port, as far as it can be seen."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                return f", process {connection.pid} has it" if connection.pid else ""
    return ""


def _last_line(text: str) -> str:
    return quoted(next((line for line in reversed(text.splitlines()) if line.strip()), "it is empty"))
