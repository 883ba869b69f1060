"""What an error of a model server means: is the same request to be made again, is the prompt too long, or is a setting
wrong?

    raise error_of(status, headers, body, asked)

| answer | error | what follows |
|---|---|---|
| 429, 503 with Retry-After, 529 | `Busy` | fewer requests, after the wait that the server asks for |
| 408, 409, 425, 5xx | `Retryable` | again, within the retries |
| 400, 403, 422 of a content filter | `ModelUnavailable` | what depends on the answer is unmeasured |
| 400, 413, 422 that say that the prompt is too long | `PromptTooLong` | the caller shortens it |
| 404 of a model | `ModelMissing` | again under the present name, or a wrong setting |
| 400 and 422 that name a parameter | `Refused` | again without it, where it is an extra |
| 3xx | `Moved` | the run ends and names the address |
| any other | `ConfigError` | the run ends and says what to change |
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import msgspec

from engine.core.errors import ConfigError, SkillosError
from engine.core.text import printable, without_credentials
from engine.models.base import ModelUnavailable, PromptTooLong
from engine.models.limits.errors import Busy, Retryable

SHOWN = 300
LONGEST_WAIT = 600.0
"""The most seconds that a server may ask to wait for."""
FILTERED = ("content_filter", "content management policy", "content_policy", "responsibleaipolicy")
NO_QUOTA = ("insufficient_quota", "billing", "exceeded your current quota", "insufficient balance", "credit balance")

_TOO_LONG = re.compile(
    r"context[_ -]?(?:length|size|window)|n_ctx|too long|too many (?:input )?tokens|reduce the length"
    r"|(?:token|prompt)s? (?:count|length)?.{0,40}exceed|exceeds? the (?:maximum|limit|available)|maximum.{0,30}tokens"
    r"|max_seq_len|string_above_max_length|request too large|inputs?`? tokens.{0,60}must be",
    re.IGNORECASE,
)
_NUMBER = r"(\d[\d,]*)"
_PROMPT = (
    rf"prompt contains (?:at least )?{_NUMBER} (?:input )?tokens",
    rf"{_NUMBER} (?:tokens )?in (?:the|your) (?:messages|prompt)",
    rf"(?:messages|prompt|request|input) (?:resulted in|has|have|of|is|was|contains?) {_NUMBER} (?:input )?tokens",
    rf"input token count \({_NUMBER}\)",
    rf"too long: {_NUMBER} tokens",
    rf"given: {_NUMBER} `inputs` tokens",
    rf"requested tokens \({_NUMBER}\)",
    rf"request \({_NUMBER} tokens\)",
    rf"you requested (?:about )?{_NUMBER} tokens",
)
_LIMIT = (
    rf"maximum context length (?:is|of) {_NUMBER}",
    rf"context (?:window|size|length) (?:of |is )?\(?{_NUMBER}",
    rf"maximum number of tokens allowed \({_NUMBER}\)",
    rf"> {_NUMBER} maximum",
    rf"must be <= {_NUMBER}",
    rf"(?:maximum|limit)[^\d]{{0,40}}{_NUMBER}",
)


class Asked(msgspec.Struct, frozen=True):
    """What a request was, as far as an error's message needs it. `key` is the name of the key, `limit` how many tokens the
    prompt may have at most, by the settings."""

    server: str
    model: str = ""
    key: str = ""
    setting: str = "model"
    limit: int = 0
    most: int = 0


class ModelMissing(SkillosError):
    """The server has no model of the name that was asked for."""


class NoSuchPath(ConfigError):
    """The server has nothing at that address."""


class Moved(ConfigError):
    """The server sends requests on to another address."""


class Refused(ConfigError):
    """The server does not take the request. `names` are the words of its message, `param` what it names as the cause."""

    def __init__(self, message: str, text: str, param: str) -> None:
        super().__init__(message)
        self.text = text
        self.param = param


class Fault(msgspec.Struct, frozen=True):
    """What a server says of an error, of which servers have many forms."""

    message: str
    param: str = ""
    code: str = ""
    tokens: int = 0
    limit: int = 0


def error_of(status: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> Exception:
    """The error that an answer with `status` is."""
    fault = fault_of(body)
    phrase = _phrase(status)
    said = f" ({fault.message})" if fault.message and fault.message not in phrase else ""
    if status in (429, 529) or (status == 503 and _wait(headers) is not None):
        if status == 429 and any(word in f"{fault.code} {fault.message}".lower() for word in NO_QUOTA):
            return ConfigError(
                f"the account at {asked.server} has no quota left{said}: raise it, or use another server"
            )
        return Busy(f"{phrase}{said}", _wait(headers))
    if status >= 500 and status != 501:
        return Retryable(f"{phrase}{said}", _wait(headers))
    if status in (408, 409, 425):
        return Retryable(f"{phrase}{said}", _wait(headers))
    if status in (400, 403, 422) and any(word in f"{fault.code} {fault.message}".lower() for word in FILTERED):
        return ModelUnavailable(f"the content filter of {asked.server} refuses the prompt{said}")
    if status in (400, 413, 422) and is_too_long(fault):
        return _too_long(fault, asked)
    return _wrong(status, phrase, said, headers, fault, asked)


def _wrong(status: int, phrase: str, said: str, headers: Mapping[str, str], fault: Fault, asked: Asked) -> Exception:
    """The error of a request that will never succeed as it is."""
    setting = asked.setting
    if status in (401, 403):
        key = (
            f"the key called {asked.key} is wrong, or may not use {asked.model or 'this model'}: store a valid one"
            if asked.key
            else f"it wants a key: set {setting}.key to the name of one, such as OPENAI_API_KEY"
        )
        return ConfigError(f"the server {asked.server} refuses requests with {phrase}{said}; {key}")
    if status == 402:
        return ConfigError(f"the account at {asked.server} is to be paid first: {phrase}{said}")
    if status == 404 and asked.model and (asked.model in fault.message or "model" in fault.message.lower()):
        return ModelMissing(fault.message)
    if 300 <= status < 400:
        return Moved(
            f"the server {asked.server} sends requests on {redirected(headers)} ({phrase}), and they are not followed, "
            f"because a key could go with them: set {setting}.url to the address at which it answers"
        )
    if status in (404, 405, 501):
        return NoSuchPath(
            f"the server {asked.server} has no chat completions at that address: {phrase}{said}; {setting}.url usually "
            "ends in /v1"
        )
    return Refused(f"the server {asked.server} refuses the request with {phrase}{said}", fault.message, fault.param)


def redirected(headers: Mapping[str, str]) -> str:
    """Where an answer of the statuses 3xx sends a request, for a message."""
    location = headers.get("location", "")
    return f"to {without_credentials(printable(location, SHOWN))}" if location else "to another address"


def fault_of(body: bytes) -> Fault:
    """What the body of an error says; its beginning where it is of no form that is known."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = body.decode("utf-8", "replace")
    inner = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(inner, dict):
        return Fault(_text(inner))
    message = inner.get("message") or inner.get("detail") or inner.get("msg") or inner.get("type") or ""
    return Fault(
        _text(message),
        param=_text(inner.get("param") or ""),
        code=_text(f"{inner.get('code') or ''} {inner.get('type') or ''}"),
        tokens=_whole(inner.get("n_prompt_tokens")),
        limit=_whole(inner.get("n_ctx")),
    )


def is_too_long(fault: Fault) -> bool:
    """Whether an error says that the prompt is too long; the longest length of an answer may be too long, too."""
    if fault.param in ("max_tokens", "max_completion_tokens"):
        return False
    return bool(fault.tokens or _TOO_LONG.search(f"{fault.message} {fault.code}"))


def _too_long(fault: Fault, asked: Asked) -> PromptTooLong:
    """How long the prompt is, and how long it may be: by the message, or else by the settings."""
    context = fault.limit or _number(_LIMIT, fault.message)
    limit = context - asked.most if context else asked.limit
    tokens = fault.tokens or _number(_PROMPT, fault.message)
    exact = tokens > limit and "at least" not in fault.message
    return PromptTooLong(tokens if tokens > limit else limit + 1, limit, at_least=not exact)


def _number(patterns: tuple[str, ...], text: str) -> int:
    for pattern in patterns:
        if found := re.search(pattern, text, re.IGNORECASE):
            return int(found[1].replace(",", "")[:12])
    return 0


def _wait(headers: Mapping[str, str]) -> float | None:
    """The seconds of Retry-After, which is a number or a date; None where there is none that can be read."""
    if milliseconds := headers.get("retry-after-ms"):
        return _bounded(milliseconds, 0.001)
    told = headers.get("retry-after")
    if not told:
        return None
    if (seconds := _bounded(told, 1.0)) is not None:
        return seconds
    try:
        return min(LONGEST_WAIT, max(0.0, parsedate_to_datetime(told).timestamp() - time.time()))
    except (ValueError, OverflowError, TypeError):
        return None


def _bounded(number: str, unit: float) -> float | None:
    try:
        seconds = float(number) * unit
    except ValueError:
        return None
    return min(LONGEST_WAIT, seconds) if seconds >= 0 else None


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"status {status}"


def _text(value: Any) -> str:
    """A value of an error, as a short text on one line."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return without_credentials(printable(" ".join(text[: SHOWN * 4].split()), SHOWN))


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value < 10**12 else 0
