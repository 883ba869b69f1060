"""HTTP/1.1 on asyncio, as much as the stand-in needs: bodies by Content-Length or in chunks, connections that stay open.

    server = await loop.create_server(lambda: Connection(handle, open_connections), "127.0.0.1", 0)
    async def handle(request: Request) -> Response: ...

A request whose client has closed the connection is cancelled, as vLLM does it.
"""

import asyncio
from http import HTTPStatus

import msgspec


class Request(msgspec.Struct):
    """One request; names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Response(msgspec.Struct):
    """`cut` is the number of bytes of the body after which the connection is closed."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}
    content_type: str = "application/json"
    cut: int | None = None


class Connection(asyncio.Protocol):
    """One connection; its requests are answered one after the other."""

    def __init__(self, handle, connections):
        self._handle, self._connections = handle, connections
        self._buffer, self._task, self.transport = bytearray(), None, None

    def connection_made(self, transport):
        self.transport = transport
        self._connections.add(self)

    def connection_lost(self, error):
        self._connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data):
        self._buffer += data
        if self._task is None:
            self._next()

    def _next(self):
        request = self._request()
        if request is not None:
            self._task = asyncio.get_running_loop().create_task(self._answer(request))

    def _request(self):
        """The first whole request of the buffer, None where it is not all there."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        method, path, _ = first.split(" ", 2)
        start = end + 4
        length = int(headers.get("content-length", "0"))
        if len(self._buffer) < start + length:
            return None
        body = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return Request(method, path, headers, body)

    async def _answer(self, request):
        response = await self._handle(request)
        self._task = None
        if self.transport.is_closing():
            return
        head = [
            f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {len(response.body)}",
            *(f"{name}: {value}" for name, value in response.headers.items()),
        ]
        self.transport.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + response.body[: response.cut])
        if response.cut is not None:
            self.transport.close()
        else:
            self._next()
