"""The local backend: one base model in this process. The executor and the judge are the base, the curator is the base with
a LoRA adapter, or a copy of the base of which all weights are trained.

    local = LocalModels(load_base(config.model), load_tokenizer(config.model))
    completion = await local.executor.complete(messages, Sampling(temperature=0))
    await local.publish(run.checkpoints / "step-0007", version=7)       # the curator is this adapter now

The models share one queue (`batching`), so that many rollouts share each forward pass; short turns of the executor go first.
A batch has requests of one model with one sampling: so one base serves both roles, with its adapter on or off. An answer
that ends leaves its batch, and a request that waits joins it (`decoding`). `LocalModels` is also the `AdapterSink`, the
`TrainableBase` and the `SharedBase` of a trainer in this process: the trainer borrows the base, puts its adapter on it, and
`publish` then proves that the tensors that answer are those of the checkpoint.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import msgspec
import torch
from transformers import PreTrainedTokenizerBase

from engine.models.base import (
    Completion,
    Message,
    Models,
    ModelUnavailable,
    NotFinite,
    NotPublished,
    PromptTooLong,
    Proof,
    Sampling,
    Usage,
)
from engine.models.local import loglikelihood as likelihood
from engine.models.local.attention import unplanned
from engine.models.local.batching import HOLD_SECONDS, Answered, Batch, Batcher, Request, WholeBatch
from engine.models.local.chat import ChatTemplate
from engine.models.local.choosing import Options
from engine.models.local.decoding import Asked, Decoder
from engine.models.local.merging import Base, Merged, mergeable
from engine.models.local.sampling import Drawn, generate
from engine.models.local.weights import differences, end_tokens, put_trained

PROVED = Proof("every tensor that answers is that of the checkpoint")
IGNORES_THINKING = (
    "the model's chat template knows no enable_thinking: executor.thinking and curator.thinking change nothing, so leave "
    "them at template"
)
TOOLS_IN_TEXT = (
    "the model's chat template leaves tools out: the curator's functions are written into its system message, and calls of "
    "them are read from its answer"
)


def _say_nothing(sentence: str) -> None:
    """Nobody wants to know."""


class LocalModels:
    """One base model for all roles. `network` is the base, or the base with the curator's adapter on it; `copy` is the
    curator where it has weights of its own, and then `network` is the base.

    `trees` is what `loglikelihood.reads_trees` says of it, `joins` what `decoding.decodes` does. `notice(sentence)` is
    called once for each thing that a user must know of how the model is asked.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_batch: int = 64,
        context: int | None = None,
        trees: bool = True,
        joins: bool = True,
        notice: Callable[[str], None] = _say_nothing,
    ) -> None:
        self.network = base
        self.copy: Any = None
        self.vocabulary = tokenizer
        self.tokenizer = LocalTokenizer(tokenizer)
        self._batcher = Batcher(self._begin, max_batch)
        asking = _Asking(tokenizer, base, context, notice)
        self._ends = asking.ends
        self.executor = LocalModel("executor", asking, self._batcher, adapter=False)
        self.curator = LocalModel("curator", asking, self._batcher, adapter=True)
        self.judge = LocalModel("judge", asking, self._batcher, adapter=False)
        self._trees = trees
        self._joins = joins
        self._version = 0
        self._borrowed = False

    @property
    def models(self) -> Models:
        """The executor, the curator, the judge and their tokenizer."""
        return Models(self.executor, self.curator, self.judge, self.tokenizer)

    # The sink: which adapter the curator is.

    async def publish(self, adapter: Path, version: int) -> Proof:
        """Put the adapter on the base, unless a trainer has done so, and prove that it is the one that answers.

        Where a trainer has borrowed the base, the weights that it trains are the ones that answer, and it holds the models:
        they are compared with the file, not changed. Raises `NotPublished` where a tensor differs, and `ConfigError` for an
        adapter that cannot be read.
        """
        if self._borrowed:
            await asyncio.to_thread(self._prove, adapter)
            self._version = version
            return PROVED
        await self.hold()
        try:
            await asyncio.to_thread(self.put, adapter)
            self._version = version
        finally:
            self.release()
        return PROVED

    def put(self, adapter: Path) -> None:
        """Make the curator the base with the trained weights of a folder, before anything is asked. Raises as `publish`
        does."""
        self._take_off()
        self.serve(put_trained(self.network, adapter))
        self._prove(adapter)

    def _prove(self, adapter: Path) -> None:
        if found := differences(self._curator, adapter):
            raise NotPublished(f"the curator that answers does not have the weights in {adapter}: {found}")

    @property
    def _curator(self) -> Any:
        return self.network if self.copy is None else self.copy

    def _network(self, model: LocalModel) -> Any:
        """What computes the answers of a model."""
        return self._curator if model.adapter else self.network

    def _take_off(self) -> None:
        self.copy = None
        if hasattr(self.network, "unload"):
            self.network = self.network.unload().eval()

    # The base that a trainer in this process borrows.

    def lend(self) -> Any:
        """The base without an adapter; see `TrainableBase`."""
        self._take_off()
        self._borrowed, self._version = True, 0
        return self.network

    def serve(self, trained: Any) -> None:
        """Let `trained` answer as the curator from now on; see `SharedBase`."""
        if hasattr(trained, "peft_config"):
            self.network = trained
        else:
            self.copy = trained

    async def hold(self, seconds: float = HOLD_SECONDS) -> None:
        """Wait until no batch is in work, and let none begin until `release`. Raises `ModelBusy` after `seconds`."""
        await self._batcher.hold(seconds)

    def release(self) -> None:
        """Let batches begin again, after `hold`."""
        self._batcher.release()

    async def idle(self, seconds: float = HOLD_SECONDS) -> None:
        """Wait until no batch is in work. Raises `ModelBusy` after `seconds`."""
        await self.hold(seconds)
        self.release()

    # Work on one batch, in the batcher's thread.

    def _begin(self, key: tuple[LocalModel, Sampling | None]) -> Batch:
        """A batch for requests of a model with a sampling; without one they are questions whose options are scored."""
        model, sampling = key
        if sampling is None:
            return WholeBatch(lambda batch: self._whole(batch, model, self._score))
        if not self._joins:
            return WholeBatch(lambda batch: self._whole(batch, model, self._complete))
        decoder = Decoder(self._network(model), self.vocabulary, sampling, ends=self._ends, model=model.name)
        adapted = self._adapted(model)
        return _Decoding(
            decoder, lambda rows: self._acting_as(model, rows, adapted), self._version if model.adapter else 0
        )

    def _whole(
        self, batch: list[Request], model: LocalModel, answer: Callable[[list[Request], LocalModel], list[Any]]
    ) -> list[Any]:
        adapted = self._adapted(model)
        with self._acting_as(model, len(batch), adapted):
            return answer(batch, model)

    def _complete(self, batch: list[Request], model: LocalModel) -> list[Completion]:
        """Completions of one batch; all its chats share the sampling but the seed, and the length where they choose."""
        jobs: list[_Chat] = [request.job for request in batch]
        version = self._version if model.adapter else 0
        drawn = generate(
            self._network(model),
            self.vocabulary,
            [job.prompt_ids for job in jobs],
            max((job.sampling for job in jobs), key=lambda sampling: sampling.max_tokens),
            [job.sampling.seed for job in jobs],
            ends=self._ends,
            model=model.name,
            options=[job.options for job in jobs if job.options],
            wanted=lambda row: batch[row].wanted,
        )
        return [_completion(job, row, version) for job, row in zip(jobs, drawn, strict=True)]

    def _score(self, batch: list[Request], model: LocalModel) -> list[list[float] | None]:
        """The scores of one batch of questions; None for a question that was given up."""
        questions = [request.job.question for request in batch]
        rows = likelihood.score(
            self._network(model), questions, wanted=lambda index: batch[index].wanted, trees=self._trees
        )
        whole = [
            row if len(row) == len(question.options) else None for row, question in zip(rows, questions, strict=True)
        ]
        if not all(math.isfinite(score) for row in whole if row is not None for score in row):
            raise NotFinite(model.name)
        return whole

    @contextmanager
    def _acting_as(
        self, model: LocalModel, rows: int, adapted: Callable[[], AbstractContextManager[None]]
    ) -> Iterator[None]:
        """The network in evaluation, with the adapter that `adapted` gives it. Raises `ModelUnavailable` where the device
        has no memory left for a batch of so many rows."""
        network = self._network(model)
        training = network.training
        if training:
            network.eval()
        try:
            with adapted(), unplanned(network.device):
                yield
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            raise ModelUnavailable(
                f"{network.device} has no memory left for a batch of {rows} for the {model.name}: lower "
                "model.max_batch, or the lengths of prompts and answers"
            ) from error
        finally:
            if training:
                network.train()

    def _adapted(self, model: LocalModel) -> Callable[[], AbstractContextManager[None]]:
        """Opens contexts in which the network is the curator with the adapter of now, or has none for the executor."""
        if not hasattr(self.network, "peft_config"):
            return nullcontext
        if not model.adapter:
            return Base(self.network).bare
        return Merged(self.network).on if mergeable(self.network) else nullcontext


class _Decoding:
    """A `Batch` of chats that are completed: requests join while others are decoded. `acting(rows)` is the network's state
    in which it decodes, `version` that of the adapter."""

    def __init__(self, decoder: Decoder, acting: Callable[[int], AbstractContextManager[None]], version: int) -> None:
        self._decoder = decoder
        self._acting = acting
        self._version = version

    def __len__(self) -> int:
        return len(self._decoder)

    def advance(self, joining: Sequence[Request], interrupted: Callable[[], bool]) -> Answered:
        """Decode until a request has its answer, or `interrupted()`. Raises `NotFinite` and `ModelUnavailable`."""
        asked = [_asked(request) for request in joining]
        with self._acting(len(self) + len(asked)):
            ended = self._decoder.advance(asked, interrupted)
        return [(row.tag, _completion(row.tag.job, drawn, self._version)) for row, drawn in ended]


def _asked(request: Request) -> Asked:
    job: _Chat = request.job
    sampling = job.sampling
    return Asked(job.prompt_ids, sampling.seed, sampling.max_tokens, lambda: request.wanted, job.options, request)


class _Asking:
    """What the models of one base share when they are asked: prompts, the tokens that end an answer, and the context."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, base: Any, context: int | None, notice: Callable[[str], None]
    ) -> None:
        self.tokenizer = tokenizer
        self.context = context
        self._template = ChatTemplate(tokenizer)
        self.ends = self._template.ends | end_tokens(base)
        self._notice = notice
        self._said: set[str] = set()

    def prompt(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None = None, thinking: bool | None = None
    ) -> list[int]:
        """The token ids of a prompt. Raises `ConfigError` where the template refuses the chat."""
        if tools and not self._template.takes_tools:
            self._say(TOOLS_IN_TEXT)
        if thinking is not None and not self._template.takes_thinking:
            self._say(IGNORES_THINKING)
        return self._template.prompt_ids(messages, tools, thinking)

    def check(self, prompt_ids: list[int], tail: int, limit: int | None) -> None:
        """Raises `PromptTooLong` for a prompt over `limit`, or over what `tail` tokens after it leave of the context."""
        limits = [limit] if self.context is None else [limit, self.context - tail]
        most = min((one for one in limits if one is not None), default=len(prompt_ids))
        if len(prompt_ids) > most:
            raise PromptTooLong(len(prompt_ids), most)

    def _say(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self._notice(sentence)


class LocalModel:
    """One of the models of a `LocalModels`: a `ChatModel`, a `Scorer` and a `Chooser`. `adapter`: it is the trained one."""

    def __init__(self, name: str, asking: _Asking, batcher: Batcher, *, adapter: bool) -> None:
        self.name = name
        self.adapter = adapter
        self._asking = asking
        self._batcher = batcher

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        tools: list[dict[str, Any]] | None = None,
    ) -> Completion:
        """Answer one chat, in a batch with whatever else waits; see `ChatModel`. `Sampling.schema` is not used."""
        prompt_ids = self._asking.prompt(messages, tools, sampling.thinking)
        self._asking.check(prompt_ids, sampling.max_tokens, sampling.max_prompt_tokens)
        return await self._drawn(_Chat(self, prompt_ids, sampling), msgspec.structs.replace(sampling, seed=0))

    async def choose(self, messages: Sequence[Message], options: Sequence[str], sampling: Sampling) -> Completion:
        """Write one of `options`, in a batch with whatever else waits to choose; see `Chooser`."""
        if not options or not all(options):
            raise ValueError(f"choosing needs options, none of them empty; these are: {list(options)!r}")
        prompt_ids = self._asking.prompt(messages, None, sampling.thinking)
        given = self._asking.tokenizer(list(options), add_special_tokens=False)["input_ids"]
        trie = Options(given, self._asking.ends)
        sampling = msgspec.structs.replace(sampling, max_tokens=trie.longest + 1)
        self._asking.check(prompt_ids, sampling.max_tokens, sampling.max_prompt_tokens)
        job = _Chat(self, prompt_ids, sampling, trie, tuple(options))
        return await self._drawn(job, msgspec.structs.replace(sampling, seed=0, max_tokens=0))

    async def _drawn(self, job: _Chat, alike: Sampling) -> Completion:
        """The completion of `job`, in a batch with those whose sampling is `alike`."""
        answer: Completion = await self._batcher.ask((self, alike), job, urgent=not self.adapter)
        return answer

    async def loglikelihood(
        self,
        messages: Sequence[Message],
        prefix: str,
        options: Sequence[str],
        max_prompt_tokens: int | None = None,
    ) -> list[float]:
        """Score `options`, in a batch with whatever else waits to be scored; see `Scorer`."""
        prompt_ids = self._asking.prompt(messages)
        question = likelihood.pose(self._asking.tokenizer, prompt_ids, prefix, options)
        tail = len(question.root) - len(prompt_ids) + max(map(len, question.branches))
        self._asking.check(prompt_ids, tail, max_prompt_tokens)
        key = (self, None)
        scores: list[float] = await self._batcher.ask(key, _Scoring(self, question), urgent=not self.adapter)
        return scores


class _Chat(msgspec.Struct, frozen=True):
    """A chat that waits for its completion: of any text, or of one of `texts`, whose token ids are `options`."""

    model: LocalModel
    prompt_ids: list[int]
    sampling: Sampling
    options: Options | None = None
    texts: tuple[str, ...] = ()


class _Scoring(msgspec.Struct, frozen=True):
    """A question whose options wait for their scores."""

    model: LocalModel
    question: likelihood.Question


class LocalTokenizer:
    """Counts tokens by a tokenizer of transformers."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer

    def count(self, text: str) -> int:
        """Tokens of `text`, special tokens not added."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each token by itself."""
        return [str(self._tokenizer.decode([number], skip_special_tokens=False)) for number in ids]


def _out_of_memory(error: Exception) -> bool:
    """Whether torch could not allocate memory; on a CPU it raises a plain `RuntimeError` for it."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _completion(job: _Chat, row: Drawn, version: int) -> Completion:
    text = row.text if row.option is None else job.texts[row.option]
    usage = Usage(len(row.tokens.prompt_ids), len(row.tokens.completion_ids))
    return Completion(text, row.finish, usage, row.tokens, version)
