"""Connections by the `openai` client: its addresses and authentication, Azure's included, without its typed models.

    connection = open_connection(settings, key)
    answered = await connection.request("POST", "chat/completions", content)

The client's `chat.completions.create` costs 2.3 ms of CPU a call, because it makes its models of each answer; the same
request by `post`, whose bytes msgspec reads, costs 1.2 ms, beside 1.0 ms of httpx2 alone (`tests.benchmarks.throughput`).
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncAzureOpenAI, AsyncOpenAI

from engine.core.errors import ConfigError
from engine.core.text import without_credentials
from engine.models.limits.errors import Retryable
from engine.models.openai.settings import OpenAIModelSettings
from engine.models.remote.wire import MAX_BYTES, Answered

JSON: Any = {"headers": {"Content-Type": "application/json"}}
CONNECT_SECONDS = 10.0
POOL = 32
"""The connections of a pool. With 1,000 in one, a request costs ten times as much."""
NO_KEY = "none"
"""What servers that want no key are sent: the client does not work without one."""


class TooLarge(httpx2.ReadError):
    """A server sends more than any answer has."""


class OpenAIConnection:
    """A `Connection` by the `openai` client, which makes no retries of its own."""

    def __init__(self, client: AsyncOpenAI, proxy: str = "") -> None:
        self._client = client
        self._by = f" (by the proxy {without_credentials(proxy)})" if proxy else ""

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
            raise Retryable(f"no connection within {CONNECT_SECONDS:g} s{self._by}") from error
        except APIConnectionError as error:
            raise Retryable(f"{reason_of(error.__cause__ or error)}{self._by}") from error
        return Answered(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        await self._client.close()


def open_connection(settings: OpenAIModelSettings, key: str | None) -> OpenAIConnection:
    """A connection to the server of `settings`. Nothing is sent yet. Raises `ConfigError`."""
    proxy = _proxy(settings)
    http = httpx2.AsyncClient(
        transport=_Pools(_opener(proxy)),
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
        return OpenAIConnection(azure, proxy or "")
    client = AsyncOpenAI(
        base_url=settings.url.rstrip("/"),
        api_key=key or NO_KEY,
        max_retries=0,
        http_client=http,
    )
    return OpenAIConnection(client, proxy or "")


def _proxy(settings: OpenAIModelSettings) -> str | None:
    """The proxy that the environment names for the server; for this machine none counts. Raises `ConfigError`."""
    try:
        url = httpx2.URL(settings.url)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"model.url={settings.url} cannot be used: {error}") from error
    direct = url.host in ("localhost", "::1") or url.host.startswith("127.") or proxy_bypass(url.host)
    proxy = None if direct else getproxies().get(url.scheme)
    if proxy is not None:
        try:
            httpx2.AsyncHTTPTransport(proxy=proxy)
        except (ValueError, ImportError, httpx2.InvalidURL) as error:
            raise ConfigError(
                f"the proxy of the environment variable {url.scheme}_proxy cannot be used "
                f"({without_credentials(str(error))}): correct it, or put {url.host} into no_proxy"
            ) from error
    return proxy


def _opener(proxy: str | None) -> Callable[[], httpx2.AsyncBaseTransport]:
    """Opens connections to the server, through `proxy` where there is one."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=POOL)
    context = httpx2.create_ssl_context()
    return lambda: httpx2.AsyncHTTPTransport(verify=context, limits=limits, proxy=proxy)


def reason_of(error: BaseException) -> str:
    """Why there is no answer, in the words of the operating system where it has some."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"there is no secure connection: {_of_tls(cause)}"
        if isinstance(cause, OSError) and cause.errno is not None:
            return os.strerror(cause.errno).lower() if cause.errno > 0 else str(cause.strerror).lower()
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, TooLarge):
        return str(error)
    if isinstance(error, httpx2.RemoteProtocolError):
        return f"its answer breaks off ({error})"
    return str(error) or type(error).__name__


def _of_tls(error: ssl.SSLError) -> str:
    """What is wrong with a server's certificate, or with the address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid, {error.verify_message}"
    reason = (error.reason or "TLS failed").replace("_", " ").lower()
    plain = "; the server may want http:// in place of https://"
    return reason + (plain if reason in ("wrong version number", "record layer failure") else "")


class _Pool:
    """Connections, and how many requests they work on."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self.transport = transport
        self.working = 0


class _Pools(httpx2.AsyncBaseTransport):
    """Pools of a few connections each, since the cost of a request grows with its pool; answers are bounded.

    An answer that has over `MAX_BYTES`, or is compressed and would have any size, ends with `TooLarge`.
    """

    def __init__(self, open_pool: Callable[[], httpx2.AsyncBaseTransport]) -> None:
        self._open = open_pool
        self._pools: list[_Pool] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        pool = next((pool for pool in self._pools if pool.working < POOL), None)
        if pool is None:
            pool = _Pool(self._open())
            self._pools.append(pool)
        pool.working += 1
        try:
            response = await pool.transport.handle_async_request(request)
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Bounded(response.stream, pool)
        except BaseException:
            pool.working -= 1
            raise
        if response.headers.get("content-encoding", "identity") not in ("", "identity"):
            await response.aclose()
            raise TooLarge("its answer is compressed, which was not asked for")
        return response

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.transport.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """The body of an answer, which ends with `TooLarge`; closing it gives its place in the pool back."""

    def __init__(self, inner: httpx2.AsyncByteStream, pool: _Pool) -> None:
        self._inner = inner
        self._pool: _Pool | None = pool

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_BYTES
        async for chunk in self._inner:
            left -= len(chunk)
            if left < 0:
                raise TooLarge(f"its answer has over {MAX_BYTES >> 20} MB")
            yield chunk

    async def aclose(self) -> None:
        if self._pool is not None:
            self._pool.working -= 1
            self._pool = None
        await self._inner.aclose()
