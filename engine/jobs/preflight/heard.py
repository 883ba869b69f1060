"""A model that keeps what it was asked and what it answered, for the probes.

heard = Heard()
executor = heard.listen(models.executor)         # it can do what the model can: it is a `Scorer` or `Chooser` where that is
heard.completions, heard.calls, heard.longest
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from engine.models.base import ChatModel, Chooser, Completion, Message, Sampling, Scorer


class Heard:
    """The answers of one role. `longest` is the longest prompt in tokens, `calls` counts those that gave an answer."""

    def __init__(self) -> None:
        self.completions: list[Completion] = []
        self.calls = 0
        self.longest = 0

    def listen(self, model: ChatModel) -> ChatModel:
        """`model`, whose answers are kept here."""
        listening: ChatModel = _KINDS[isinstance(model, Scorer), isinstance(model, Chooser)](model, self)
        return listening

    def take(self, completion: Completion) -> Completion:
        """Keep an answer."""
        self.completions.append(completion)
        self.calls += 1
        self.longest = max(self.longest, completion.usage.prompt)
        return completion

    @property
    def tokens(self) -> int:
        """Tokens of all answers."""
        return sum(completion.usage.completion for completion in self.completions)


class _Listening:
    """A `ChatModel` whose answers are kept."""

    def __init__(self, model: Any, heard: Heard) -> None:
        self._model = model
        self._heard = heard

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, tools: list[dict[str, Any]] | None = None
    ) -> Completion:
        return self._heard.take(await self._model.complete(messages, sampling, tools))


class _Scores(_Listening):
    async def loglikelihood(
        self, messages: Sequence[Message], prefix: str, options: Sequence[str], max_prompt_tokens: int | None = None
    ) -> list[float]:
        scores: list[float] = await self._model.loglikelihood(messages, prefix, options, max_prompt_tokens)
        self._heard.calls += 1
        return scores


class _Chooses(_Listening):
    async def choose(self, messages: Sequence[Message], options: Sequence[str], sampling: Sampling) -> Completion:
        return self._heard.take(await self._model.choose(messages, options, sampling))


class _Both(_Scores, _Chooses):
    pass


_KINDS: Mapping[tuple[bool, bool], type[_Listening]] = MappingProxyType(
    {(False, False): _Listening, (True, False): _Scores, (False, True): _Chooses, (True, True): _Both}
)
"""The wrapper of a model, by whether it is a `Scorer` and a `Chooser`."""
