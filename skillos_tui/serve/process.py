"""The workbench's process behind one page: textual-serve's protocol, with an end that is bounded.

workbench = WorkbenchProcess(command, socket)
await workbench.start(120, 40)                     # raises OSError where no process can be started
await workbench.send_bytes(b"q")                   # as typed
await workbench.stop()                             # may be called twice
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from engine.core.output import note
from engine.core.text import printable_lines
from skillos_tui.serve.environment import page_environment

BEGIN = b"__GANGLION__\n"
"""What the web driver writes before the first packet."""
END_SECONDS = 5.0
"""How long a workbench may take to end, before it is killed."""
MAX_ERRORS = 8192
"""Bytes of what a workbench writes to standard error that are shown."""


class WorkbenchProcess(AppService):
    """A workbench, and the page that shows it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], socket: web.WebSocketResponse) -> None:
        super().__init__(
            "",
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=self._close,
            download_manager=DownloadManager(),
        )
        self._arguments, self._variables, self._socket = command, environment, socket
        self._errors = b""
        self._ending: asyncio.Task[None] | None = None

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        variables = page_environment(self._variables, width, height)
        self._process = process = await asyncio.create_subprocess_exec(
            *self._arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=variables
        )
        self._stdin = process.stdin
        return process

    async def run(self) -> None:
        """Show the page what the workbench writes, until it ends; then close the page's socket."""
        process = self._process
        assert process is not None and process.stdout is not None
        errors = asyncio.create_task(self._read_errors())
        begun = False
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await process.stdout.readuntil(BEGIN)
            begun = True
            while True:
                head = await process.stdout.readexactly(5)
                await self._take(head[:1], await process.stdout.readexactly(int.from_bytes(head[1:], "big")))
        await process.wait()
        await errors
        if self._errors:
            note(self._errors.decode(errors="replace").rstrip())
        if self._errors or not begun:
            await self._report(process.returncode)
        await self._close()

    async def _take(self, kind: bytes, payload: bytes) -> None:
        """Pass on a packet; what a page that is gone would get is dropped."""
        with contextlib.suppress(ConnectionResetError):
            if kind == b"D":
                await self.on_data(payload)
            elif kind == b"M":
                await self.on_meta(payload)

    async def on_meta(self, data: bytes) -> None:
        """Open a link of the web in the browser; nothing else that the driver sends concerns the page."""
        meta: dict[str, Any] = json.loads(data)
        if meta["type"] == "open_url" and str(meta["url"]).startswith(("http://", "https://")):
            await super().on_meta(data)

    async def _read_errors(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        while data := await self._process.stderr.read(4096):
            self._errors = (self._errors + data)[:MAX_ERRORS]

    async def _report(self, code: int | None) -> None:
        """Show on the page why the workbench has ended."""
        why = printable_lines(self._errors.decode(errors="replace").strip()) or f"It ended with status {code}."
        text = f"\x1b[?1049l\x1b[?25l\x1b[H\x1b[2J{why}\n".replace("\n", "\r\n")
        with contextlib.suppress(ConnectionResetError):
            await self._socket.send_bytes(text.encode())

    async def _close(self) -> None:
        await self._socket.close()

    async def stop(self) -> None:
        """End the workbench, as a terminal that is closed does; its engines continue."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        process, task = self._process, self._task
        if process is None or task is None:
            return
        try:
            async with asyncio.timeout(END_SECONDS):
                await self.send_meta({"type": "quit"})
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await asyncio.wait([task], timeout=END_SECONDS)
        task.cancel()
