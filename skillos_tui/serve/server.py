"""The pages and the websocket of the workbench, on loopback. Each page has a workbench of its own.

    server = Server(command, variables, port)          # raises `Taken`
    await server.serve()                               # until a signal; returns its number

Below the token: the page itself, `ws`, `page/` (files of this package) and `static/` (textual-serve's terminal and font).
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import textual_serve
from aiohttp import WSMsgType, web
from aiohttp.typedefs import Handler
from jinja2 import Template

from engine.core.errors import SkillosError
from skillos_tui.serve.guard import HOST, Guard, new_token
from skillos_tui.serve.process import WorkbenchProcess

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PAGE = Path(__file__).parent / "page"
STATIC = Path(textual_serve.__file__).parent / "static"
MAX_MESSAGE = 1 << 20
"""Bytes of one message of a page, such as a paste."""
MAX_CELLS = 1000
"""Columns, and rows, of a page."""
HEARTBEAT_SECONDS = 15.0


class Taken(SkillosError):
    """The port cannot be had; the message says why and what to do."""


class Server:
    """Serves workbenches that `command` starts."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], port: int) -> None:
        self._command, self._variables = command, variables
        self._listening = _listen(port)
        self.guard = Guard(new_token(), self._listening.getsockname()[1])
        self._workbenches: set[WorkbenchProcess] = set()
        self._page = Template((PAGE / "index.html").read_text(encoding="utf-8"), autoescape=True)

    async def serve(self, ready: Callable[[str], None]) -> int:
        """Serve until SIGINT, SIGTERM or SIGHUP, whose number is returned. `ready` is called with the address. A second
        signal ends the program at once."""
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        for number in ENDING:
            asyncio.get_running_loop().add_signal_handler(number, self._end, ended, number)
        runner = web.AppRunner(self._app(), access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.SockSite(runner, self._listening).start()
            ready(self.guard.address)
            return await ended
        finally:
            await runner.cleanup()

    def _end(self, ended: asyncio.Future[int], number: int) -> None:
        for each in ENDING:
            asyncio.get_running_loop().remove_signal_handler(each)
        if not ended.done():
            ended.set_result(number)

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._refuse_others])
        base = f"/{self.guard.token}"
        app.add_routes(
            [
                web.get(base, self._to_page),
                web.get(f"{base}/", self._show_page),
                web.get(f"{base}/ws", self._run_workbench),
                web.static(f"{base}/page", PAGE),
                web.static(f"{base}/static", STATIC),
            ]
        )
        app.on_response_prepare.append(self._restrict)
        app.on_shutdown.append(self._stop_workbenches)
        return app

    @web.middleware
    async def _refuse_others(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if why := self.guard.refusal(request.path, request.headers):
            return web.Response(status=403, text=f"{why}\n")
        return await handler(request)

    async def _restrict(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let the browser load nothing from elsewhere, keep nothing, and show the page in no other one."""
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
            f"img-src 'self' data:; connect-src 'self' ws://{HOST}:{self.guard.port} ws://localhost:{self.guard.port}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )  # the terminal writes its sizes and colours into style elements
        response.headers.update(
            {
                "Content-Security-Policy": policy,
                "Referrer-Policy": "no-referrer",
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "X-Frame-Options": "DENY",
                "Cross-Origin-Opener-Policy": "same-origin",
                "Cross-Origin-Resource-Policy": "same-origin",
                "Server": "skillos-tui",
            }
        )

    async def _to_page(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"/{self.guard.token}/")

    async def _show_page(self, request: web.Request) -> web.Response:
        html = self._page.render(socket=f"ws://{request.host}/{self.guard.token}/ws")
        return web.Response(text=html, content_type="text/html")

    async def _run_workbench(self, request: web.Request) -> web.StreamResponse:
        page = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=MAX_MESSAGE)
        if not page.can_prepare(request):
            return web.Response(status=400, text="Only a websocket can be opened here.\n")
        await page.prepare(request)
        workbench = WorkbenchProcess(self._command, self._variables, page)
        self._workbenches.add(workbench)
        try:
            await workbench.start(_cells(request.query.get("width"), 80), _cells(request.query.get("height"), 24))
            async for message in page:
                if message.type is not WSMsgType.TEXT or not await _take(message.data, workbench, page):
                    await page.close(code=1003, message=b"not a message of the workbench's page")
        except OSError as error:
            await page.send_bytes(f"The workbench cannot be started: {error.strerror}.\r\n".encode())
            await page.close()
        finally:
            await workbench.stop()
            self._workbenches.discard(workbench)
        return page

    async def _stop_workbenches(self, _: web.Application) -> None:
        await asyncio.gather(*(workbench.stop() for workbench in self._workbenches))


async def _take(text: str, workbench: WorkbenchProcess, page: web.WebSocketResponse) -> bool:
    """Do what a message of the page asks for; false where it is none."""
    try:
        message: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False
    match message:
        case ["stdin", str(typed)]:
            await workbench.send_bytes(typed.encode(errors="replace"))
        case ["resize", {"width": int(width), "height": int(height)}]:
            await workbench.set_terminal_size(_cells(width, 80), _cells(height, 24))
        case ["ping", str(sent)]:
            await page.send_json(["pong", sent])
        case ["focus"]:
            await workbench.focus()
        case ["blur"]:
            await workbench.blur()
        case _:
            return False
    return True


def _cells(given: str | int | None, default: int) -> int:
    """A count of columns or rows that a page gave, or `default` where it is no count."""
    try:
        count = int(given if given is not None else default)
    except ValueError:
        count = default
    return max(1, min(MAX_CELLS, count))


def _listen(port: int) -> socket.socket:
    """A socket on loopback; port 0 is any free one. Raises `Taken`."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise Taken(f"port {port} of {HOST} cannot be used: {error.strerror}; give another one with --port") from error
    return listening
