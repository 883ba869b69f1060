"""What a chat model is, on whichever machine or server it runs.

    async with loading.open_models(config, opening) as opened:    # engine.jobs.loading, by the registry of backends
        completion = await opened.models.curator.complete(messages, Sampling(temperature=1.0, seed=7), tools=TOOLS)
        opened.models.tokenizer.count(completion.text)

A backend implements `ChatModel`. What only some backends can do is optional: `Scorer` gives the likelihood of given texts,
`Chooser` draws one of given texts, `AdapterSink`, `TrainableBase` and `SharedBase` serve a trainer, and `Completion.tokens`
is None where token ids are not reported.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from engine.core.errors import SkillosError
from engine.core.events import ModelUse, Sink
from engine.core.holds import Holds

ROUNDING = 1e-3
"""How far rounding may take a log-probability over 0."""


class Message(msgspec.Struct, frozen=True):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(msgspec.Struct, frozen=True):
    """How a completion is drawn. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 switch those filters off.

    `min_p` excludes tokens less likely than this share of the likeliest one's probability; 0 excludes none. `max_tokens`
    caps the completion of one call, `max_prompt_tokens` its prompt. `seed` makes the draw repeatable where the model
    supports it.

    `stop`: the text of the answer ends before the first of these texts, and nothing is sampled after the token that
    completes it. The token ids of the answer are what was sampled, so they hold the stop text: what is trained is what was
    sampled. `thinking` is `enable_thinking` of the chat template; None leaves it to the template. `schema` is a JSON schema,
    as JSON text, that the answer follows where the backend can constrain it; "" for free text.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 256
    max_prompt_tokens: int = 16384
    seed: int = 0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    thinking: bool | None = None
    schema: str = ""


class WrongCompletion(SkillosError):
    """A backend reports token counts, token ids or log-probabilities that contradict each other."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the model backend reports {what}: rewards and updates would be computed from it, so its answers cannot be used"
        )


class Usage(msgspec.Struct, frozen=True):
    """How many tokens the prompt and the completion have; the completion's end token counts. `cached` is how many tokens of
    the prompt the server had in its prefix cache; None where it does not say.

    Raises `WrongCompletion` for a negative number.
    """

    prompt: int
    completion: int
    cached: int | None = None

    def __post_init__(self) -> None:
        if self.prompt < 0 or self.completion < 0:
            raise WrongCompletion(f"a prompt of {self.prompt} and a completion of {self.completion} tokens")


class Tokens(msgspec.Struct, frozen=True):
    """The token ids of a prompt and its completion. `logprobs`, one a completion token, are natural logarithms of its
    probability in the unfiltered distribution at temperature 1. Raises `WrongCompletion` where their numbers differ, or
    where a probability is over 1."""

    prompt_ids: list[int]
    completion_ids: list[int]
    logprobs: list[float]

    def __post_init__(self) -> None:
        if len(self.logprobs) != len(self.completion_ids):
            raise WrongCompletion(f"{len(self.logprobs)} log-probabilities of {len(self.completion_ids)} tokens")
        if any(logprob > ROUNDING for logprob in self.logprobs):
            raise WrongCompletion(f"the log-probability {max(self.logprobs):g}, which is over 0")


class Completion(msgspec.Struct, frozen=True):
    """The answer of a model. `tokens` is None where the backend does not report them; else `text` is their text without the
    token that ended the answer, and up to the first of `Sampling.stop`.

    Raises `WrongCompletion` where `usage` and `tokens` differ.

    `version` is the number under which the adapter that answered was published (`AdapterSink.publish`); 0 is what the model
    was opened with.
    """

    text: str
    finish: Literal["stop", "length"]
    usage: Usage
    tokens: Tokens | None = None
    version: int = 0

    def __post_init__(self) -> None:
        tokens, usage = self.tokens, self.usage
        if tokens is None:
            return
        if (usage.prompt, usage.completion) != (len(tokens.prompt_ids), len(tokens.completion_ids)):
            raise WrongCompletion(
                f"a prompt of {usage.prompt} and a completion of {usage.completion} tokens, with the ids of "
                f"{len(tokens.prompt_ids)} and {len(tokens.completion_ids)}"
            )


class ModelUnavailable(SkillosError):
    """The model did not answer (outage, time-out, refused). What depended on the answer is unmeasured, never failed."""


class NotFinite(SkillosError):
    """The model answered with log-probabilities that are NaN or infinite. None of its answers can be used: the work ends.

    `model` is the name of the model that was asked: "executor", "curator" or "judge".
    """

    def __init__(self, model: str) -> None:
        super().__init__(
            f"the {model}'s log-probabilities are not finite (NaN or infinite): the model's weights, or those of the "
            "adapter on it, are damaged or out of the range of model.dtype"
        )
        self.model = model


def not_finite_in(error: BaseException) -> NotFinite | None:
    """The first `NotFinite` in an error, or in the errors of tasks that failed together; None where there is none."""
    while isinstance(error, BaseExceptionGroup):
        found = error.subgroup(NotFinite)
        if found is None:
            return None
        error = found.exceptions[0]
    return error if isinstance(error, NotFinite) else None


class PromptTooLong(SkillosError):
    """The rendered prompt exceeds its cap; shorten it and ask again. `tokens` and `limit` are in tokens.

    A `limit` of 0 or less: the answer alone may fill the model's context. `at_least`: the server says no more than that the
    prompt is longer than its limit, so `tokens` is the least that it can have.
    """

    def __init__(self, tokens: int, limit: int, *, at_least: bool = False) -> None:
        more = f"{tokens - limit} more than the limit of {limit}"
        none = "and model.context has no room for a prompt beside an answer of the longest length"
        has = "has at least" if at_least else "has"
        super().__init__(f"the prompt {has} {tokens} tokens, {more if limit > 0 else none}")
        self.tokens = tokens
        self.limit = limit


class ChatModel(Protocol):
    """A model that answers chats."""

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        tools: list[dict[str, Any]] | None = None,
    ) -> Completion:
        """Answer one chat. `tools` are JSON schemas of functions that the answer may call, in the form of OpenAI's API.

        A backend whose server returns tool calls or reasoning as data writes them into `text` again, in the model's own
        notation, so that what is parsed is what was sampled. `finish` is "length" where the answer was cut, else "stop".

        Cancelling the task gives the request up, on a server too: the caller's time limits do so. Raises `ModelUnavailable`,
        `PromptTooLong` or `NotFinite`.
        """
        ...


@runtime_checkable
class Scorer(Protocol):
    """A model that also says how likely given texts are."""

    async def loglikelihood(
        self,
        messages: Sequence[Message],
        prefix: str,
        options: Sequence[str],
        max_prompt_tokens: int | None = None,
    ) -> list[float]:
        """Per option the mean natural log-probability of its tokens as the continuation of the chat and `prefix`.

        The distribution is the unfiltered one at temperature 1. It is a mean, so a long option is not worse for its length.
        Errors are those of `ChatModel.complete`; `ValueError` for no options or an empty one.
        """
        ...


@runtime_checkable
class Chooser(Protocol):
    """A model that answers with one of given texts, by constrained decoding: a draw token by token among the tokens that can
    still become one of them. That is another distribution than `Scorer`'s."""

    async def choose(self, messages: Sequence[Message], options: Sequence[str], sampling: Sampling) -> Completion:
        """The completion, whose text is one of `options`. Errors are those of `ChatModel.complete`; `ValueError` for no
        options or an empty one."""
        ...


class Tokenizer(Protocol):
    """Counts tokens as the models do."""

    def count(self, text: str) -> int:
        """How many tokens `text` has; special tokens are not added."""
        ...


@runtime_checkable
class Speller(Protocol):
    """A `Tokenizer` that also has the text of each token."""

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each token by itself; part of a character is "\ufffd"."""
        ...


class Models(msgspec.Struct, frozen=True):
    """The models of a run: the frozen executor, the curator, the frozen judge, and their tokenizer.

    `judge` is None where the backend has no model for it; `ModelBackend.judges` says so before it is opened. `tokenizer` is
    None where the model's is not known: then the tokens of skills are not measured."""

    executor: ChatModel
    curator: ChatModel
    judge: ChatModel | None
    tokenizer: Tokenizer | None


class NotPublished(SkillosError):
    """The model that answers is not the adapter that was published. The message gives the reason."""


class Proof(msgspec.Struct, frozen=True):
    """How it was proved that the served curator is the adapter that was published.

    `how` is one sentence. Where log-probabilities were compared, `difference` is the mean difference a token between what
    the server answers and what the trainer computes for the new adapter, `separation` that between the trainer's new and old
    adapter, and `noise` what the server's answers differ from the trainer's by themselves; all natural logarithms.
    `unmeasured` is the reason why the comparison cannot distinguish the two adapters, "" where it can.
    """

    how: str
    difference: float | None = None
    separation: float | None = None
    noise: float | None = None
    unmeasured: str = ""


class AdapterSink(Protocol):
    """Where a trainer's adapters go: the curator that answers during training."""

    async def publish(self, adapter: Path, version: int) -> Proof:
        """Make the curator the trained weights in the folder `adapter`: a LoRA adapter, or all weights where the backend
        takes them (`engine.models.adapters`). Its completions carry `version` from then on.

        Returns when it is proved that the served curator has these weights, or that this cannot be measured
        (`Proof.unmeasured`). Raises `NotPublished` where the served curator has other weights.
        """
        ...


class TrainableBase(Protocol):
    """The base model that a trainer in this process puts its adapter on; the curator's own base has equal weights.

    The trainer waits while `AdapterSink.publish` runs, so a sink may compute with the base then, without changing it.
    """

    @property
    def vocabulary(self) -> Any:
        """The tokenizer of transformers (`PreTrainedTokenizerBase`); its `pad_token_id` is set."""
        ...

    def lend(self) -> Any:
        """The base model (`PreTrainedModel`) without an adapter. The trainer changes it. A `SharedBase` is asked nothing
        from then until `serve`."""
        ...


@runtime_checkable
class SharedBase(Protocol):
    """A `TrainableBase` whose models answer with the very weights that are trained, so that one base is in memory.

    Optional: a backend whose curator is on a server, and loads only the adapters, is none. The trainer gives the base with
    its adapter to `serve`. It holds the models while weights change, from before the first one is written until
    `AdapterSink.publish` has returned.
    """

    def serve(self, trained: Any) -> None:
        """Let `trained` answer as the curator from now on: the base with the trainer's adapter on it (`PeftModel`), or a
        copy of the base, beside which the other models stay the base."""
        ...

    async def hold(self, seconds: float = 600.0) -> None:
        """Wait until no request is in work, and let none begin until `release`. Raises an error after `seconds`."""
        ...

    def release(self) -> None:
        """Let requests begin again, after `hold`."""
        ...

    async def idle(self, seconds: float = 600.0) -> None:
        """Wait until no request is in work. Raises an error after `seconds`."""
        ...


class NotTrainable(SkillosError):
    """The backend has no base for a trainer, or takes no adapters."""

    def __init__(self) -> None:
        super().__init__(
            "a train run needs a base model that can be trained in this process and a curator that takes adapters, and this "
            "backend has none: use another model.kind, such as local; a curate run works with this one"
        )


def _ignore(anything: Any) -> None:
    """Do nothing."""


async def _plainly(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of `work`."""
    return await work


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend gets when it opens its models.

    `adapter` is the folder of the curator's trained weights; None: the untrained curator, which is the base. `lora_rank` is
    the rank of the adapters that a trainer will publish; 0: none will be. `roles` are the roles that will be asked of this
    backend. `report(what)` announces each part that takes seconds to load, `emit` takes events, and `holds` holds every
    request back while a server is down. `folder` is the run's folder of logs, for the logs of a server that the backend
    starts; None: there is no run. `used` is what the run's models were used for before, and `until_stopped(work)` is the
    result of work that is given up when the run is to stop.
    """

    adapter: Path | None = None
    lora_rank: int = 0
    roles: frozenset[str] = frozenset({"executor", "curator", "judge"})
    report: Callable[[str], None] = _ignore
    emit: Sink = _ignore
    holds: Holds = msgspec.field(default_factory=Holds)
    folder: Path | None = None
    used: Sequence[ModelUse] = ()
    until_stopped: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]] = _plainly

    @property
    def section(self) -> str:
        """The section of the configuration that the settings are from, by the roles that use it."""
        return "model" if "curator" in self.roles else "executor_model" if "executor" in self.roles else "judge_model"


async def _nothing() -> None:
    """Nothing is to be closed."""


def _silent() -> None:
    """Nothing is reported."""


class Opened(msgspec.Struct, frozen=True):
    """What a backend opens: the models, and what a trainer needs; None where the backend cannot be trained. `close` ends
    connections and servers; it is awaited once, also after an error. `report_use` emits what the models were used for, where
    that changed since the last `ModelsUsed`."""

    models: Models
    sink: AdapterSink | None = None
    base: TrainableBase | None = None
    close: Callable[[], Awaitable[None]] = _nothing
    report_use: Callable[[], None] = _silent

    def for_training(self) -> tuple[TrainableBase, AdapterSink]:
        """The base and the sink of a trainer. Raises `NotTrainable` where the backend has none."""
        if self.base is None or self.sink is None:
            raise NotTrainable
        return self.base, self.sink
