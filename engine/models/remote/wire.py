"""HTTP to a model server, with a bound on what it may send, and its errors as ours.

    client = HttpClient(connection, secrets, asked)
    body = await client.post("chat/completions", content)   # raises what `errors.error_of` gives, and `Retryable`
    models = await client.get("models")

A `Connection` makes the request: `engine.models.openai.client` has one. Cancelling a request closes its connection, so that
the server stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from engine.models.remote.errors import Asked, error_of
from engine.models.remote.keys import Secrets

MAX_BYTES = 32 << 20
"""The most bytes of an answer: 32k tokens with their log-probabilities have about 6 MB."""


class Answered(msgspec.Struct, frozen=True):
    """What came back: a status, headers with names in lower case, a body of at most `MAX_BYTES`."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection(Protocol):
    """Makes requests. Raises `Retryable` where none is answered."""

    async def request(self, method: str, path: str, content: bytes | None) -> Answered: ...

    async def close(self) -> None: ...


class HttpClient:
    """Requests to one server. `secrets` are taken out of everything that it sends, before anything reads it."""

    def __init__(self, connection: Connection, secrets: Secrets) -> None:
        self._connection = connection
        self._secrets = secrets

    async def post(self, path: str, content: bytes, asked: Asked) -> bytes:
        """The body of the answer to a POST of JSON. Raises the error that the answer is."""
        return self._read(await self._connection.request("POST", path, content), asked)

    async def get(self, path: str, asked: Asked) -> bytes:
        """The body of the answer to a GET. Raises the error that the answer is."""
        return self._read(await self._connection.request("GET", path, None), asked)

    async def close(self) -> None:
        """Close every connection."""
        await self._connection.close()

    def _read(self, answered: Answered, asked: Asked) -> bytes:
        body = self._secrets.without(answered.body)
        if answered.status != 200:
            raise error_of(answered.status, answered.headers, body, asked)
        return body
