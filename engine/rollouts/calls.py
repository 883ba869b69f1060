"""Keeps what models are asked and answer, word for word and token by token, for a person who looks at a turn.

    calls: list[ModelCall] = []
    model = keeping(model, "executor", tokenizer, calls.append) if is_kept("first", at) else model

The wrapped model does what the model does. A call without an answer is not kept.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from engine.agents.settings import KeepCalls
from engine.core.events import ChatMessage, ModelCall, PositionId, ScoredOption
from engine.models.base import ChatModel, Chooser, Completion, Message, Sampling, Scorer, Speller, Tokenizer

Role = Literal["executor", "curator"]


def is_kept(keep: KeepCalls, at: PositionId) -> bool:
    """Whether the calls at a position are kept."""
    return keep == "all" or (keep == "first" and at.group == at.rollout == 0)


def keeping(model: ChatModel, role: Role, tokenizer: Tokenizer | None, keep: Callable[[ModelCall], None]) -> ChatModel:
    """`model`, each answered call of which is given to `keep`, with turn 0. It is a `Scorer` and a `Chooser` where `model`
    is one."""
    return _KINDS[isinstance(model, Scorer), isinstance(model, Chooser)](model, role, tokenizer, keep)


class _Keeping:
    """A `ChatModel` whose calls are kept."""

    def __init__(self, model: Any, role: Role, tokenizer: Tokenizer | None, keep: Callable[[ModelCall], None]) -> None:
        self._model = model
        self._role: Role = role
        self._tokenizer = tokenizer
        self._keep = keep

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, tools: list[dict[str, Any]] | None = None
    ) -> Completion:
        names = [str(tool.get("function", tool).get("name", "")) for tool in tools or ()]
        return await self._answered(self._model.complete(messages, sampling, tools), messages, sampling, names)

    async def _answered(
        self, call: Awaitable[Completion], messages: Sequence[Message], sampling: Sampling, tools: list[str]
    ) -> Completion:
        began = time.monotonic()
        completion = await call
        tokens = completion.tokens
        speller = self._tokenizer if isinstance(self._tokenizer, Speller) else None
        self._keep(
            self._asked(
                messages,
                completion.text,
                time.monotonic() - began,
                tools=tools,
                settings=_settings(sampling),
                prompt_ids=tokens.prompt_ids if tokens else None,
                answer_ids=tokens.completion_ids if tokens else None,
                logprobs=[round(logprob, 4) for logprob in tokens.logprobs] if tokens else None,
                pieces=speller.pieces(tokens.completion_ids) if tokens and speller else None,
                version=completion.version,
            )
        )
        return completion

    def _asked(self, messages: Sequence[Message], answer: str, seconds: float, **more: Any) -> ModelCall:
        chat = [ChatMessage(message.role, message.content) for message in messages]
        return ModelCall(self._role, 0, chat, answer, round(seconds, 3), **more)


class _Scores(_Keeping):
    """A `Scorer` whose calls are kept."""

    async def loglikelihood(
        self, messages: Sequence[Message], prefix: str, options: Sequence[str], max_prompt_tokens: int | None = None
    ) -> list[float]:
        began = time.monotonic()
        scores: list[float] = await self._model.loglikelihood(messages, prefix, options, max_prompt_tokens)
        scored = [ScoredOption(prefix + text, round(score, 5)) for text, score in zip(options, scores, strict=True)]
        self._keep(self._asked(messages, "", time.monotonic() - began, options=scored))
        return scores


class _Chooses(_Keeping):
    """A `Chooser` whose calls are kept."""

    async def choose(self, messages: Sequence[Message], options: Sequence[str], sampling: Sampling) -> Completion:
        return await self._answered(self._model.choose(messages, options, sampling), messages, sampling, [])


class _Both(_Scores, _Chooses):
    """A model that is both."""


_KINDS: Mapping[tuple[bool, bool], type[_Keeping]] = MappingProxyType(
    {(False, False): _Keeping, (True, False): _Scores, (False, True): _Chooses, (True, True): _Both}
)
"""The wrapper of a model, by whether it is a `Scorer` and a `Chooser`."""


def _settings(sampling: Sampling) -> dict[str, float | int | bool | str | None]:
    """The settings of a draw, by name."""
    fields = msgspec.structs.asdict(sampling)
    return {**fields, "stop": " ".join(map(repr, sampling.stop))}
