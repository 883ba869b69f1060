"""Connections by any-llm-sdk, which turns requests in the form of OpenAI's API into those of other providers.

    connection = open_connection(settings, key)
    answered = await connection.request("POST", "/chat/completions", content)

What the package raises becomes the answer that a server would give, so that `engine.models.remote` reads one form of errors.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from any_llm import AnyLLM
from any_llm import exceptions as errors

from engine.core.errors import ConfigError
from engine.models.anyllm.settings import AnyLLMModelSettings
from engine.models.limits.errors import Retryable
from engine.models.remote.wire import MAX_BYTES, Answered, Connection

TAKEN = frozenset(
    "model messages tools tool_choice temperature top_p top_k max_tokens stop seed response_format logprobs "
    "reasoning_effort".split()
)
"""The fields that any provider may take. Others are refused here: a provider's package would raise for them."""
STATUSES: tuple[tuple[type[errors.AnyLLMError], int], ...] = (
    (errors.RateLimitError, 429),
    (errors.AuthenticationError, 401),
    (errors.MissingApiKeyError, 401),
    (errors.InsufficientFundsError, 402),
    (errors.ModelNotFoundError, 404),
    (errors.InvalidRequestError, 400),
    (errors.ContextLengthExceededError, 400),
    (errors.GatewayTimeoutError, 504),
    (errors.UpstreamProviderError, 502),
)
_ARGUMENT = re.compile(r"unexpected keyword argument '(\w+)'")


class AnyLLMConnection:
    """A `Connection` by any-llm-sdk. `own` are fields of the settings, which go to the provider as they are."""

    def __init__(self, provider: AnyLLM, own: set[str]) -> None:
        self._provider = provider
        self._taken = TAKEN | own

    async def request(self, method: str, path: str, content: bytes | None) -> Answered:
        """What the provider answers, in the form of OpenAI's API. Raises `Retryable`."""
        if content is None:
            return Answered(404, {}, b"")
        fields = msgspec.json.decode(content)
        if (unknown := next((name for name in fields if name not in self._taken), None)) is not None:
            return _unknown(unknown)
        if fields.get("top_k", 0) <= 0:
            fields.pop("top_k", None)
        if fields.get("top_p") == 1:
            fields.pop("top_p")
        try:
            completion: Any = await self._provider.acompletion(**fields)
        except TypeError as error:  # of the provider's package, for a field that it does not know
            if (found := _ARGUMENT.search(str(error))) is None:
                raise
            return _unknown({"stop_sequences": "stop"}.get(found[1], found[1]))
        except errors.AnyLLMError as error:
            return _answered(error)
        body = completion.model_dump_json().encode()
        if len(body) > MAX_BYTES:
            raise Retryable(f"its answer has over {MAX_BYTES >> 20} MB")
        return Answered(200, {}, body)

    async def close(self) -> None:
        """Close the client of the provider's package, where it can be."""
        close = getattr(getattr(self._provider, "client", None), "close", None)
        if close is not None:
            await close()


def open_connection(settings: AnyLLMModelSettings, key: str | None) -> Connection:
    """A connection to a provider. Nothing is sent yet. Raises `ConfigError` where its package is not installed."""
    own = set(msgspec.json.decode(settings.body)) if settings.body else set()
    try:
        provider = AnyLLM.create(
            settings.provider, api_key=key, api_base=settings.url or None, unified_exceptions=True, **_client(settings)
        )
    except ImportError as error:
        raise ConfigError(
            f"model.provider={settings.provider} needs a package that is not installed: "
            f"pip install 'any-llm-sdk[{settings.provider}]'"
        ) from error
    except errors.AnyLLMError as error:
        raise ConfigError(f"model.provider={settings.provider} cannot be used: {error.message}") from error
    return AnyLLMConnection(provider, own)


def _client(settings: AnyLLMModelSettings) -> dict[str, Any]:
    """Arguments of the provider's client: no retries, and a time limit, without which it refuses long answers."""
    return {"max_retries": 0, "timeout": settings.answer_seconds} if settings.provider == "anthropic" else {}


def _unknown(name: str) -> Answered:
    return _error(400, f"unsupported parameter: {name}", name)


def _answered(error: errors.AnyLLMError) -> Answered:
    """The answer that an error of the package is. Raises `Retryable` where there was none."""
    if isinstance(error, errors.ContentFilterError):
        return _error(400, error.message, "", "content_filter")
    if isinstance(error, errors.UnsupportedParameterError):
        return _unknown(str(getattr(error, "parameter_name", error.param or "")))
    status = error.status_code or next((status for kind, status in STATUSES if isinstance(error, kind)), None)
    if status is None or status < 400:
        raise Retryable(error.message.rstrip(".")) from error
    code = "context_length_exceeded" if isinstance(error, errors.ContextLengthExceededError) else error.code or ""
    message = f"model: {error.message}" if status == 404 else error.message
    wait = getattr(error, "retry_after", None)
    return _error(status, message, error.param or "", code, {"retry-after": str(wait)} if wait else {})


def _error(status: int, message: str, param: str, code: str = "", headers: dict[str, str] | None = None) -> Answered:
    body = json.dumps({"error": {"message": message, "param": param, "code": code}}).encode()
    return Answered(status, headers or {}, body)
