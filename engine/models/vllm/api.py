"""The requests to a vLLM server beside chats: its models and adapters, its tokens, its log-probabilities, its metrics.

    api = Api("http://127.0.0.1:8000")
    await api.load("curator-v3", run.checkpoints / "step-0003")
    rows = await api.logprobs("curator-v3", [Question([1, 5, 9], [4, 17])])     # [{4: -0.3, 17: -2.9}]
    await api.close()

What a server answers is hostile until it is parsed: sizes are bounded, and the types are checked.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx2 as httpx
import msgspec

from engine.core.errors import ConfigError
from engine.core.text import printable, without_credentials
from engine.models.base import ModelUnavailable
from engine.models.openai.client import reason_of
from engine.models.remote.errors import redirected

LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
MAX_BYTES = 32 << 20
MAX_MESSAGE = 300
SECONDS, CONNECT_SECONDS, HEALTH_SECONDS = 30.0, 10.0, 5.0
LOAD_SECONDS = 300.0
LOGPROB_SECONDS = 300.0
"""The first request to a server may take half a minute: it compiles."""
AT_ONCE = 8
TOP = 20
"""How many alternatives a server reports beside the sampled token, at most."""

T = TypeVar("T")


class ServerGone(ModelUnavailable):
    """No connection, a cut one, a time-out, or an answer that is none of vLLM's."""


class Refused(ModelUnavailable):
    """The server answered with an error; `status` is the one of HTTP, `said` its message."""

    def __init__(self, what: str, status: int, said: str) -> None:
        super().__init__(f"the vLLM server refuses {what}: {said or 'without a reason'} (HTTP {status})")
        self.status, self.said = status, said


class Card(msgspec.Struct, frozen=True):
    """A model that the server lists; an adapter has a `parent`."""

    id: str
    root: str | None = None
    parent: str | None = None
    max_model_len: int | None = None


class Question(msgspec.Struct, frozen=True):
    """Which `tokens` to give the log-probabilities of, after the `prompt` (token ids); none: the likeliest."""

    prompt: list[int]
    tokens: list[int]


class _Models(msgspec.Struct):
    data: list[Card]


class _Openapi(msgspec.Struct):
    paths: dict[str, msgspec.Raw]


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _Logprobs(msgspec.Struct):
    top_logprobs: list[dict[str, float] | None]
    tokens: list[str] = []
    token_logprobs: list[float | None] = []


class _Choice(msgspec.Struct):
    logprobs: _Logprobs | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class _Said(msgspec.Struct):
    message: str = ""


class _Error(msgspec.Struct):
    error: _Said | str = ""


class Api:
    """The requests to the server at `url`, with `key` where it wants one. `pending` is how many of those that the server's
    engine answers are not answered yet."""

    def __init__(self, url: str, key: str = "") -> None:
        self._url = url
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Timeout(None, connect=CONNECT_SECONDS)  # each request has a limit of its own
        self._client = httpx.AsyncClient(base_url=url, timeout=limits, headers=headers, trust_env=False)
        self.pending = 0

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def healthy(self) -> bool:
        """Whether the server answers that it is."""
        return not await self.fault()

    async def fault(self) -> str:
        """Why the server is not healthy; "" where it is."""
        try:
            status = (await self._client.get("/health", timeout=HEALTH_SECONDS)).status_code
        except httpx.TimeoutException:
            return f"no answer within {HEALTH_SECONDS:g} s"
        except httpx.HTTPError as error:
            return reason_of(error)
        return "" if status == 200 else f"it is not healthy, status {status}"

    async def models(self) -> list[Card]:
        """The base and its adapters. Raises as all requests here do: `ServerGone`, `Refused`, or `ConfigError` for a wrong
        key or address."""
        return (await self._ask("to list its models", "GET", "/v1/models", _Models)).data

    async def paths(self) -> frozenset[str]:
        """The paths of the server's API."""
        return frozenset((await self._ask("to describe its API", "GET", "/openapi.json", _Openapi)).paths)

    async def tokens(self, model: str, text: str) -> list[int]:
        """The ids of `text`, in which special tokens are recognised and to which none is added."""
        body = {"model": model, "prompt": text, "add_special_tokens": False}
        return (await self._ask("to tokenize", "POST", "/tokenize", _Tokens, body)).tokens

    async def load(self, name: str, adapter: Path) -> None:
        """Load the adapter in a folder under a name. The server must see the folder."""
        await self._send(
            f"the adapter {adapter}", "POST", LOAD, {"lora_name": name, "lora_path": str(adapter)}, LOAD_SECONDS
        )

    async def unload(self, name: str) -> None:
        """Forget the adapter of a name."""
        await self._send(f"to unload {name}", "POST", UNLOAD, {"lora_name": name})

    async def metrics(self) -> str:
        """The text of /metrics, which the engine of the server need not work for."""
        return (await self._sent("to report its metrics", "GET", "/metrics")).decode(errors="replace")

    async def logprobs(self, model: str, questions: Sequence[Question]) -> list[dict[int, float]]:
        """Per question the natural log-probabilities that the server reports, by token: of those that were asked for, or, by
        an older server, of the likeliest ones. Each is a completion of one token; prompts are never scored."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(question: Question) -> dict[int, float]:
            async with turns:
                return await self._logprobs(model, question)

        return await asyncio.gather(*map(one, questions))

    async def _logprobs(self, model: str, question: Question) -> dict[int, float]:
        body = {
            "model": model,
            "prompt": question.prompt,
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": TOP,
            "logprob_token_ids": question.tokens or None,
            "return_tokens_as_token_ids": True,
        }
        answer = await self._ask(
            f"log-probabilities of {model}", "POST", "/v1/completions", _Completion, body, LOGPROB_SECONDS
        )
        logprobs = answer.choices[0].logprobs if len(answer.choices) == 1 else None
        top = logprobs.top_logprobs[0] if logprobs is not None and len(logprobs.top_logprobs) == 1 else None
        if top is None:
            raise ServerGone("the vLLM server reports no log-probabilities")
        found = {}
        for name, value in top.items():
            number = name.removeprefix("token_id:")
            if number.isascii() and number.isdecimal() and math.isfinite(value):
                found[int(number)] = value
        return found

    async def _ask(
        self, what: str, method: str, path: str, kind: type[T], body: Any = None, seconds: float = SECONDS
    ) -> T:
        data = await self._send(what, method, path, body, seconds)
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ServerGone(f"what the server at {path} answers is none of vLLM's: {error}") from error

    async def _send(self, what: str, method: str, path: str, body: Any = None, seconds: float = SECONDS) -> bytes:
        self.pending += 1
        try:
            return await self._sent(what, method, path, body, seconds)
        finally:
            self.pending -= 1

    async def _sent(self, what: str, method: str, path: str, body: Any = None, seconds: float = SECONDS) -> bytes:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        request = self._client.build_request(method, path, content=content, headers=headers)
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.send(request, stream=True)
                try:
                    data = bytearray()
                    async for chunk in response.aiter_bytes():
                        data += chunk
                        if len(data) > MAX_BYTES:
                            raise ServerGone(f"the answer of the vLLM server at {path} has over {MAX_BYTES} bytes")
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise ServerGone(f"the vLLM server at {self._url} cannot be reached: {reason_of(error)}") from error
        except TimeoutError as error:
            raise ServerGone(f"the vLLM server at {self._url} did not answer in {seconds:g} s") from error
        if response.status_code in (401, 403):
            raise ConfigError(
                f"the vLLM server at {self._url} refuses {what} (HTTP {response.status_code}): set model.key to the name of "
                "a key that it takes"
            )
        if 300 <= response.status_code < 400:
            raise ConfigError(
                f"the vLLM server at {self._url} sends requests on {redirected(response.headers)} (HTTP "
                f"{response.status_code}), and they are not followed: set model.url to the address at which it answers"
            )
        if response.status_code != 200:
            raise Refused(what, response.status_code, _said(bytes(data)))
        return bytes(data)


def _said(data: bytes) -> str:
    try:
        error = msgspec.json.decode(data, type=_Error).error
        text = error if isinstance(error, str) else error.message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = ""
    return printable(without_credentials(text), MAX_MESSAGE)
