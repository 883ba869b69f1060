"""A toy backend over HTTP: a server answers for all roles and loads adapters; the trainer has a base of its own.

`tests.models.serving` is the server.
"""

import asyncio
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import msgspec

from engine.core.errors import ConfigError
from engine.models.base import Completion, Models, ModelUnavailable, NotPublished, Opened, PromptTooLong, Proof
from engine.models.registry import ModelBackend
from engine.models.settings import ModelSettings


class RemoteSettings(ModelSettings, frozen=True, tag="remote"):
    """Models on a server."""

    url: str = ""
    """The server's address."""


class Server:
    """The requests that the server takes. It is also the `AdapterSink` and a `Tokenizer`."""

    def __init__(self, url):
        self._url = url
        self._threads = ThreadPoolExecutor(max_workers=64)

    async def post(self, path, body, seconds=60.0):
        send = asyncio.get_running_loop().run_in_executor(self._threads, self._post, path, body, seconds)
        return await send

    def _post(self, path, body, seconds):
        request = urllib.request.Request(f"{self._url}/{path}", msgspec.json.encode(body))
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 413:
                raise PromptTooLong(*msgspec.json.decode(error.read())) from error
            raise ModelUnavailable(f"the server answers {error.code}") from error
        except OSError as error:
            raise ModelUnavailable(f"the server cannot be reached: {error}") from error

    async def publish(self, adapter, version):
        served = await self.post("adapter", {"path": str(adapter), "version": version})
        if msgspec.json.decode(served) != version:
            raise NotPublished(f"the server does not answer with {adapter}")
        return Proof("the server names the version that it answers with")

    def count(self, text):
        return msgspec.json.decode(self._post("count", text, 60.0))


class Remote:
    """One role on the server: a `ChatModel`."""

    def __init__(self, server, role):
        self._server, self._role = server, role

    async def complete(self, messages, sampling, tools=None):
        asked = {"role": self._role, "messages": messages, "sampling": sampling, "tools": tools}
        return msgspec.json.decode(await self._server.post("chat", asked), type=Completion)


class Base:
    """The `TrainableBase`: the same weights as the server's, loaded by the trainer's process."""

    def __init__(self):
        from engine.models.local.settings import LocalModelSettings
        from engine.models.local.tokenizer import load_tokenizer

        self._settings = LocalModelSettings()
        self.vocabulary = load_tokenizer(self._settings)

    def lend(self):
        from engine.models.local.weights import load_base

        return load_base(self._settings)


def check(settings):
    if not settings.url.startswith("http://"):
        raise ConfigError("model.url is no address of a server, such as http://127.0.0.1:8000")


async def open_models(settings, opening):
    opening.report(f"the server {settings.url}")
    server = Server(settings.url)
    if opening.adapter is not None:
        await server.publish(opening.adapter, 0)
    models = Models(*(Remote(server, role) for role in ("executor", "curator", "judge")), server)
    return Opened(models, sink=server, base=Base())


KIND = ModelBackend(
    name="remote",
    settings=RemoteSettings,
    check=check,
    opens="tests.extending.toys.remote:open_models",
    trains=True,
    judges=True,
)
