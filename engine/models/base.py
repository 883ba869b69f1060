"""What a chat model is, whichever machine or server it runs on."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from engine.core.errors import SkillosError

Role = Literal["executor", "curator"]


class Message(msgspec.Struct, frozen=True):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(msgspec.Struct, frozen=True):
    """How a completion is drawn. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 switch those filters off.

    `max_tokens` caps the completion of one call, `max_prompt_tokens` its prompt. `seed` makes the draw repeatable where the
    model supports it.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 256
    max_prompt_tokens: int = 16384
    seed: int = 0


class Completion(msgspec.Struct, frozen=True):
    """What a model answered. `logprobs` (natural log, one a completion token) are those of the unfiltered distribution."""

    text: str
    prompt_ids: list[int]
    completion_ids: list[int]
    logprobs: list[float]
    finish: Literal["stop", "length"]


class Choice(msgspec.Struct, frozen=True):
    """Which of several texts a model chose. `logprobs`, one an option, are mean natural log-probabilities of its tokens."""

    index: int
    text: str
    logprobs: list[float]
    prompt_ids: list[int]


class ModelUnavailable(SkillosError):
    """The model did not answer (outage, time-out, refused). What depended on the answer is unmeasured, never failed."""


class NotFinite(SkillosError):
    """The model answered with log-probabilities that are NaN or infinite. Nothing that it says is to be used: the work ends.

    `role` is who was asked.
    """

    def __init__(self, role: Role) -> None:
        super().__init__(
            f"the {role}'s log-probabilities are not finite (NaN or infinite): the model's weights, or those of the "
            "adapter on it, are damaged or out of the range of model.dtype"
        )
        self.role = role


def not_finite_in(error: BaseException) -> NotFinite | None:
    """The first `NotFinite` in an error, or in the errors of tasks that failed together; None where there is none."""
    while isinstance(error, BaseExceptionGroup):
        found = error.subgroup(NotFinite)
        if found is None:
            return None
        error = found.exceptions[0]
    return error if isinstance(error, NotFinite) else None


class PromptTooLong(SkillosError):
    """The rendered prompt exceeds its cap; say less and ask again. `tokens` and `limit` are in tokens.

    A `limit` of 0 or less: the answer alone may fill the model's context.
    """

    def __init__(self, tokens: int, limit: int) -> None:
        more = f"{tokens - limit} more than the limit of {limit}"
        none = "and model.context has no room for a prompt beside an answer of the longest length"
        super().__init__(f"the prompt has {tokens} tokens, {more if limit > 0 else none}")
        self.tokens = tokens
        self.limit = limit


class ChatModel(Protocol):
    """A model that answers chats in one of two roles: executor (the frozen base) or curator (the trained adapter)."""

    async def complete(
        self, messages: list[Message], *, role: Role, sampling: Sampling, tools: list[dict[str, Any]] | None = None
    ) -> Completion:
        """Answer one chat. Raises `ModelUnavailable`, `PromptTooLong` or `NotFinite`.

        A request whose task is cancelled is given up at its next token.
        """
        ...

    async def choose(
        self, messages: list[Message], options: list[str], *, role: Role, prefix: str, sampling: Sampling
    ) -> Choice:
        """Answer one chat by `prefix` and one of `options`, chosen by likelihood.

        An option's likelihood is the mean log-probability of its tokens right of the prompt and `prefix`, of the unfiltered
        distribution, so a long option is not worse for its length. At `sampling.temperature` 0 the likeliest is taken, else
        one is drawn from softmax(likelihoods / temperature) by the seed; `top_p`, `top_k` and `max_tokens` have no meaning
        here. Raises as `complete` does, and `ValueError` for no options or an empty one.
        """
        ...

    def count_tokens(self, text: str) -> int:
        """How many tokens `text` is in this model's tokenizer, special tokens not added."""
        ...
