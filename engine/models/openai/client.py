"""Connections by the `openai` client: its addresses and authentication, Azure's included, without its typed models.

    connection = open_connection(settings, key)
    answered = await connection.request("POST", "chat/completions", content)

The client's `chat.completions.create` costs 2.3 ms of CPU a call, because it makes its models of each answer; the same
request by `post`, whose bytes msgspec reads, costs 1.2 ms, beside 1.0 ms of httpx2 alone (`tests.benchmarks.clients`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncAzureOpenAI, AsyncOpenAI

from engine.models.limits.errors import Retryable
from engine.models.openai.settings import OpenAIModelSettings
from engine.models.remote.wire import MAX_BYTES, Answered

JSON: Any = {"headers": {"Content-Type": "application/json"}}
CONNECT_SECONDS = 10.0
NO_KEY = "none"
"""What servers that want no key are sent: the client does not work without one."""


class TooLarge(httpx2.ReadError):
    """A server sends more than any answer has."""


class OpenAIConnection:
    """A `Connection` by the `openai` client, which makes no retries of its own."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    async def request(self, method: str, path: str, content: bytes | None) -> Answered:
        """What the server answers. Raises `Retryable` where it does not."""
        try:
            if method == "GET":
                response = await self._client.get(path, cast_to=httpx2.Response)
            else:
                response = await self._client.post(path, cast_to=httpx2.Response, content=content, options=JSON)
        except APIStatusError as error:
            response = error.response
        except APITimeoutError as error:
            raise Retryable(f"no connection within {CONNECT_SECONDS:g} s") from error
        except APIConnectionError as error:
            raise Retryable(reason_of(error.__cause__ or error)) from error
        return Answered(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        await self._client.close()


def open_connection(settings: OpenAIModelSettings, key: str | None) -> OpenAIConnection:
    """A connection to the server of `settings`. Nothing is sent yet."""
    http = httpx2.AsyncClient(
        transport=_Bounded(_transport(settings)),
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
        headers={"Accept-Encoding": "identity"},
    )
    if settings.api_version:
        azure = AsyncAzureOpenAI(
            azure_endpoint=settings.url.rstrip("/"),
            azure_deployment=settings.model,
            api_version=settings.api_version,
            api_key=key or NO_KEY,
            max_retries=0,
            http_client=http,
        )
        return OpenAIConnection(azure)
    return OpenAIConnection(
        AsyncOpenAI(
            base_url=settings.url.rstrip("/"),
            api_key=key or NO_KEY,
            max_retries=0,
            http_client=http,
        )
    )


def _transport(settings: OpenAIModelSettings) -> httpx2.AsyncBaseTransport:
    """The connections of a server, through the proxy that the environment names for it; this machine has none."""
    url = httpx2.URL(settings.url)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=settings.concurrency)
    direct = url.host in ("localhost", "::1") or url.host.startswith("127.") or proxy_bypass(url.host)
    proxy = None if direct else getproxies().get(url.scheme)
    return httpx2.AsyncHTTPTransport(limits=limits, proxy=proxy)


def reason_of(error: BaseException) -> str:
    """Why there is no answer, in the words of the operating system where it has some."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, TooLarge):
        return str(error)
    if isinstance(error, httpx2.RemoteProtocolError):
        return f"its answer breaks off ({error})"
    return str(error) or type(error).__name__


class _Bounded(httpx2.AsyncBaseTransport):
    """Ends answers that have over `MAX_BYTES`, or are compressed, and would have any size."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") not in ("", "identity"):
            await response.aclose()
            raise TooLarge("its answer is compressed, which was not asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _BoundedStream(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_BYTES
        async for chunk in self._inner:
            left -= len(chunk)
            if left < 0:
                raise TooLarge(f"its answer has over {MAX_BYTES >> 20} MB")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
