"""What a server answers to a chat, typed: `read_reply(body, "curator")`. `completions` makes a completion of it.

A server's answer is hostile until it is parsed here: its size is bounded by the client, its types by msgspec.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from engine.core.text import printable
from engine.models.base import NotFinite
from engine.models.limits.errors import Retryable

SHOWN = 200
MOST_TOKENS = 1 << 31
"""No text has so many tokens."""

_BROKEN_LOGPROB = re.compile(rb'"logprob"\s*:\s*(?:NaN|-?Infinity)')


class Call(msgspec.Struct):
    """A function call. OpenAI's `arguments` are JSON text; some servers send the object."""

    name: str | None = None
    arguments: Any = ""


class ToolCall(msgspec.Struct):
    """One of a message's calls. `function` is None for a call of another kind."""

    function: Call | None = None


class Inner(msgspec.Struct):
    """A piece of a thought."""

    text: str | None = None


class Part(msgspec.Struct):
    """A part of a content that is a list (Mistral)."""

    type: str = ""
    text: str | None = None
    thinking: str | list[Inner] | None = None


class Thought(msgspec.Struct):
    """A reasoning that is an object (any-llm)."""

    content: str | None = None


class MessageReply(msgspec.Struct):
    """The message of an answer; the reasoning has one of two names."""

    content: str | list[Part] | None = None
    reasoning: str | Thought | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall | None] | None = None
    function_call: Call | None = None
    refusal: str | None = None

    @property
    def thought(self) -> str:
        told = self.reasoning.content if isinstance(self.reasoning, Thought) else self.reasoning
        return told or self.reasoning_content or ""


class LogProb(msgspec.Struct):
    """The log-probability of a token. A server that computes NaN writes null, or NaN."""

    logprob: float | None = None


class LogProbs(msgspec.Struct):
    content: list[LogProb] | None = None


class Choice(msgspec.Struct):
    message: MessageReply
    finish_reason: str | None = None
    token_ids: list[int] | None = None
    logprobs: LogProbs | None = None


class Counts(msgspec.Struct, frozen=True):
    """The tokens that a server counts; None where it does not, or where it is no number of tokens."""

    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None


class Reply(msgspec.Struct):
    """An answer to a chat."""

    choices: list[Choice]
    model: str | None = None
    usage: Any = None
    prompt_token_ids: list[int] | None = None

    @property
    def counts(self) -> Counts:
        told = self.usage if isinstance(self.usage, dict) else {}
        details = told.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else None
        return Counts(_count(told.get("prompt_tokens")), _count(told.get("completion_tokens")), _count(cached))


def _count(value: Any) -> int | None:
    """A number of tokens, which some servers write as 5.0; None for what is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS else None


_DECODER = msgspec.json.Decoder(Reply)


def read_reply(body: bytes, role: str) -> Reply:
    """The answer in `body`. Raises `Retryable` for what is none, and `NotFinite` for a log-probability that is NaN."""
    try:
        reply = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if _BROKEN_LOGPROB.search(body):
            raise NotFinite(role) from error
        raise Retryable(f"its answer cannot be read ({error}): {shown(body)}") from error
    if not reply.choices:
        raise Retryable(f"its answer has no choices: {shown(body)}")
    return reply


def shown(body: bytes) -> str:
    """The beginning of what a server sent, on one line."""
    return printable(" ".join(body[: SHOWN * 4].decode("utf-8", "replace").split()), SHOWN) or "(nothing)"
