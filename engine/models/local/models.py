"""The local backend: one base model in this process. The executor and the judge are the base, the curator is the base with
a LoRA adapter.

    local = LocalModels(load_base(config.model), load_tokenizer(config.model))
    completion = await local.executor.complete(messages, Sampling(temperature=0))
    await local.publish(run.checkpoints / "step-0007", version=7)       # the curator is this adapter now

The models share one queue (`batching`), so that many rollouts share each forward pass; short turns of the executor go first.
`LocalModels` is also the `AdapterSink`, the `TrainableBase` and the `SharedBase` of a trainer in this process: the trainer
borrows the base, puts its adapter on it, and `publish` then proves that the tensors that answer are those of the checkpoint.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
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
    Tokens,
    Usage,
)
from engine.models.local import loglikelihood as likelihood
from engine.models.local.batching import HOLD_SECONDS, Batcher, Request
from engine.models.local.sampling import generate
from engine.models.local.weights import differences, put_adapter

PROVED = Proof("every tensor that answers is that of the checkpoint")


class LocalModels:
    """One base model for all roles. `network` is the base, or the base with the curator's adapter on it."""

    def __init__(
        self, base: Any, tokenizer: PreTrainedTokenizerBase, *, max_batch: int = 64, context: int = 4096
    ) -> None:
        self.network = base
        self.vocabulary = tokenizer
        self.tokenizer = LocalTokenizer(tokenizer)
        self._batcher = Batcher(self._answer, max_batch)
        self.executor = LocalModel("executor", tokenizer, self._batcher, context, adapter=False)
        self.curator = LocalModel("curator", tokenizer, self._batcher, context, adapter=True)
        self.judge = LocalModel("judge", tokenizer, self._batcher, context, adapter=False)
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
        """Make the curator the base with `adapter` on it, before anything is asked. Raises as `publish` does."""
        self._take_off()
        self.network = put_adapter(self.network, adapter)
        self._prove(adapter)

    def _prove(self, adapter: Path) -> None:
        if found := differences(self.network, adapter):
            raise NotPublished(f"the curator that answers is not the adapter {adapter}: {found}")

    def _take_off(self) -> None:
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
        self.network = trained

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

    def _answer(self, batch: list[Request]) -> Sequence[Any]:
        """The answers to one batch. Raises `ModelUnavailable` where the device has no memory for it, and `NotFinite`."""
        model: LocalModel = batch[0].job.model
        try:
            with self._acting_as(model):
                return self._complete(batch, model) if isinstance(batch[0].job, _Chat) else self._score(batch, model)
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            raise ModelUnavailable(
                f"{self.network.device} has no memory left for a batch of {len(batch)} for the {model.name}: lower "
                "model.max_batch, or the lengths of prompts and answers"
            ) from error

    def _complete(self, batch: list[Request], model: LocalModel) -> list[Completion]:
        """Completions of one batch; all its chats share the sampling but the seed."""
        version = self._version if model.adapter else 0
        drawn = generate(
            self.network,
            self.vocabulary,
            [request.job.prompt_ids for request in batch],
            batch[0].job.sampling,
            [request.job.sampling.seed for request in batch],
            model=model.name,
            wanted=lambda row: batch[row].wanted,
        )
        return [Completion(row.text, row.finish, _usage(row.tokens), row.tokens, version) for row in drawn]

    def _score(self, batch: list[Request], model: LocalModel) -> list[list[float] | None]:
        """The scores of one batch of questions; None for a question that was given up."""
        questions = [request.job.question for request in batch]
        rows = likelihood.score(self.network, questions, wanted=lambda index: batch[index].wanted)
        whole = [
            row if len(row) == len(question.options) else None for row, question in zip(rows, questions, strict=True)
        ]
        if not all(math.isfinite(score) for row in whole if row is not None for score in row):
            raise NotFinite(model.name)
        return whole

    @contextmanager
    def _acting_as(self, model: LocalModel) -> Iterator[None]:
        """The network in evaluation, its adapter off for the executor."""
        training = self.network.training
        self.network.eval()
        off = not model.adapter and hasattr(self.network, "disable_adapter")
        try:
            with self.network.disable_adapter() if off else nullcontext():
                yield
        finally:
            self.network.train(training)


class LocalModel:
    """One of the models of a `LocalModels`: a `ChatModel` and a `Scorer`. `adapter`: it is the trained one."""

    def __init__(
        self, name: str, tokenizer: PreTrainedTokenizerBase, batcher: Batcher, context: int, *, adapter: bool
    ) -> None:
        self.name = name
        self.adapter = adapter
        self._tokenizer = tokenizer
        self._batcher = batcher
        self._context = context

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        tools: list[dict[str, Any]] | None = None,
    ) -> Completion:
        """Answer one chat, in a batch with whatever else waits; see `ChatModel`. Raises `PromptTooLong` or `NotFinite`."""
        prompt_ids = self._prompt(messages, tools)
        _check_length(prompt_ids, min(sampling.max_prompt_tokens, self._context - sampling.max_tokens))
        key = (self, msgspec.structs.replace(sampling, seed=0))
        answer: Completion = await self._batcher.ask(key, _Chat(self, prompt_ids, sampling), urgent=not self.adapter)
        return answer

    async def loglikelihood(
        self,
        messages: Sequence[Message],
        prefix: str,
        options: Sequence[str],
        max_prompt_tokens: int | None = None,
    ) -> list[float]:
        """Score `options`, in a batch with whatever else waits to be scored; see `Scorer`."""
        prompt_ids = self._prompt(messages, None)
        question = likelihood.pose(self._tokenizer, prompt_ids, prefix, options)
        tail = len(question.root) - len(prompt_ids) + max(map(len, question.branches))
        room = self._context - tail
        _check_length(prompt_ids, room if max_prompt_tokens is None else min(max_prompt_tokens, room))
        key = (self, None)
        scores: list[float] = await self._batcher.ask(key, _Scoring(self, question), urgent=not self.adapter)
        return scores

    def _prompt(self, messages: Sequence[Message], tools: list[dict[str, Any]] | None) -> list[int]:
        chat = [{"role": message.role, "content": message.content} for message in messages]
        offered: list[Any] | None = tools
        rendered = self._tokenizer.apply_chat_template(chat, tools=offered, add_generation_prompt=True, tokenize=False)
        return list(self._tokenizer(rendered, add_special_tokens=False)["input_ids"])


class _Chat(msgspec.Struct, frozen=True):
    """A chat that waits for its completion."""

    model: LocalModel
    prompt_ids: list[int]
    sampling: Sampling


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


def _out_of_memory(error: Exception) -> bool:
    """Whether torch could not allocate memory; on a CPU it raises a plain `RuntimeError` for it."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _usage(tokens: Tokens) -> Usage:
    return Usage(len(tokens.prompt_ids), len(tokens.completion_ids))


def _check_length(prompt_ids: list[int], limit: int) -> None:
    if len(prompt_ids) > limit:
        raise PromptTooLong(len(prompt_ids), limit)
