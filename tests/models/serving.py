"""A model server on the loopback: the pocket model answers over HTTP for the executor and the curator, and loads adapters.

    with serving() as server:
        server.url, server.asked, server.published

It is the other side of `tests.extending.toys.remote`. The judge's answer is `server.mark`, or what that function of the
messages gives; a status of HTTP in its place is an error of the server.
"""

import asyncio
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from engine.models.base import Completion, Message, PromptTooLong, Sampling, Usage
from engine.models.local.models import LocalModels
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer
from engine.models.local.weights import load_base


class Asked(msgspec.Struct):
    """The body of a request for an answer."""

    role: str
    messages: list[Message]
    sampling: Sampling
    tools: list[dict[str, object]] | None


class Server(ThreadingHTTPServer):
    """Answers on a free port. `asked` counts requests by role and adapter version; `published` are the adapters."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, loop):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.loop = loop
        self.local = LocalModels(load_base(LocalModelSettings()), load_tokenizer(LocalModelSettings()), context=4096)
        self.mark = "7"
        self.judged, self.asked, self.published = [], Counter(), []

    async def answer(self, path, body):
        if path == "/count":
            return self.local.tokenizer.count(msgspec.json.decode(body))
        if path == "/adapter":
            given = msgspec.json.decode(body)
            await self.local.publish(Path(given["path"]), given["version"])
            self.published.append(Path(given["path"]).name)
            return given["version"]
        asked = msgspec.json.decode(body, type=Asked)
        if asked.role == "judge":
            self.judged.append(asked.messages)
            mark = self.mark(asked.messages) if callable(self.mark) else self.mark
            return Completion(mark, "stop", Usage(1, 1)) if isinstance(mark, str) else mark
        completion = await getattr(self.local, asked.role).complete(asked.messages, asked.sampling, asked.tools)
        self.asked[asked.role, completion.version] += 1
        return completion


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            answer = self.server.answer(self.path, body)
            value = asyncio.run_coroutine_threadsafe(answer, self.server.loop).result(120)
            status = value if self.path == "/chat" and isinstance(value, int) else 200
        except PromptTooLong as error:
            status, value = 413, (error.tokens, error.limit)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(msgspec.json.encode(value))

    def log_message(self, *arguments):
        """Print nothing."""


@contextmanager
def serving():
    """A server, until the block ends."""
    loop = asyncio.new_event_loop()
    server = Server(loop)
    threads = [threading.Thread(target=loop.run_forever), threading.Thread(target=server.serve_forever)]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        loop.call_soon_threadsafe(loop.stop)
        for thread in threads:
            thread.join(20)
        loop.close()
