"""A language model in this process: one base for both roles, the curator being the base with its LoRA adapter.

    model = LocalModel(load_base(config.model), load_tokenizer(config.model))
    completion = await model.complete(messages, role="executor", sampling=Sampling(temperature=0))

Requests that wait at the same time are answered as one batch, so many rollouts share each forward pass. Every request draws
from its own seed (Gumbel-max), so what else is in the batch changes no more than the rounding of floats.

Batches run in a thread. A request whose task is cancelled stops at its next token, and a batch that nobody waits for ends
there. Code that changes the weights holds the model meanwhile:

    await model.hold()                 # no batch is in work, and none begins
    model.release()
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import jinja2
import msgspec
import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from engine import config
from engine.core.errors import SkillosError
from engine.models.base import Choice, Completion, Message, NotFinite, PromptTooLong, Role, Sampling
from engine.models.files import NO_TEMPLATE, check_adapter, check_model, unloadable, unloadable_adapter, weights_path
from engine.models.local import loglikelihood as choosing
from engine.models.settings import LocalModelSettings

HOLD_SECONDS = 600.0
"""How long `LocalModel.hold` waits for the batch in work: a cancelled request ends with the present forward pass."""


class ModelBusy(SkillosError):
    """The model still answered requests when the wait for it ended."""


def load_tokenizer(settings: LocalModelSettings) -> PreTrainedTokenizerBase:
    """The tokenizer of the model. Raises `ConfigError` when it cannot be had, or has no chat template that works."""
    with _blaming(settings):
        tokenizer = AutoTokenizer.from_pretrained(weights_path(settings.weights))
    if tokenizer.eos_token_id is None:
        raise unloadable(settings, "its tokenizer has no token that ends an answer (eos_token)")
    if not tokenizer.chat_template:
        raise unloadable(settings, NO_TEMPLATE)
    try:
        tokenizer.apply_chat_template(
            [{"role": "user", "content": "hello"}], add_generation_prompt=True, tokenize=False
        )
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        raise unloadable(settings, f"its tokenizer's chat template fails: {_first_line(error)}") from error
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(settings: LocalModelSettings) -> PreTrainedModel:
    """The frozen base model on its device. Raises `ConfigError` when it cannot be had, or not put there."""
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[settings.dtype]
    with _blaming(settings):
        model: Any = AutoModelForCausalLM.from_pretrained(weights_path(settings.weights), dtype=dtype)
    with _blaming(settings, f"model.device={settings.device} cannot be used"):
        return model.to(settings.device).eval()


@contextmanager
def _blaming(settings: LocalModelSettings, what: str = "") -> Iterator[None]:
    """One sentence for what is wrong with the files of the model, and for what transformers and torch raise."""
    check_model(settings)
    try:
        yield
    except (OSError, ValueError, RuntimeError, AssertionError, SafetensorError) as error:
        if what:
            raise config.ConfigError(f"{what}: {_first_line(error)}") from error
        raise unloadable(settings, _first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def load_curator(base: PreTrainedModel, adapter: Path | None) -> Any:
    """The base with the trained `adapter` on it, or the untrained curator, which is the base itself.

    Raises `ConfigError` for an adapter that cannot be read, or that was trained on another base.
    """
    if adapter is None:
        return base
    check_adapter(adapter)
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(base, str(adapter)).eval()
    except (OSError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
        raise unloadable_adapter(adapter, _first_line(error)) from error


class _Request(msgspec.Struct):
    prompt_ids: list[int]
    role: Role
    sampling: Sampling
    answer: asyncio.Future[Any]
    question: choosing.Question | None = None

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for the answer. May be asked from the thread that works on the batch."""
        return not self.answer.done()

    @property
    def kind(self) -> tuple[object, ...]:
        """What requests of one batch must share: everything but the seed; a choice only its role."""
        return (self.role, None if self.question else msgspec.structs.replace(self.sampling, seed=0))


class LocalModel:
    """Implements `engine.models.base.ChatModel` over a transformers model, with or without a PEFT adapter."""

    def __init__(
        self, model: Any, tokenizer: PreTrainedTokenizerBase, *, max_batch: int = 64, context: int = 4096
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._max_batch = max_batch
        self._context = context
        self._waiting: deque[_Request] = deque()
        self._serving: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    def count_tokens(self, text: str) -> int:
        """Tokens of `text`, special tokens not added."""
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    async def complete(
        self, messages: list[Message], *, role: Role, sampling: Sampling, tools: list[dict[str, Any]] | None = None
    ) -> Completion:
        """Answer one chat, in a batch with whatever else waits. Raises `PromptTooLong` or `NotFinite`."""
        prompt_ids = self._prompt(messages, tools)
        _check_length(prompt_ids, min(sampling.max_prompt_tokens, self._context - sampling.max_tokens))
        answer: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        return await self._answered(_Request(prompt_ids, role, sampling, answer))

    async def choose(
        self, messages: list[Message], options: list[str], *, role: Role, prefix: str, sampling: Sampling
    ) -> Choice:
        """Answer one chat by one of `options`, in a batch with whatever else waits to choose; see `ChatModel.choose`."""
        prompt_ids = self._prompt(messages, None)
        question = choosing.pose(self.tokenizer, prompt_ids, prefix, options)
        tail = len(question.root) - len(prompt_ids) + max(map(len, question.branches))
        _check_length(prompt_ids, min(sampling.max_prompt_tokens, self._context - tail))
        answer: asyncio.Future[Choice] = asyncio.get_running_loop().create_future()
        return await self._answered(_Request(prompt_ids, role, sampling, answer, question))

    def _prompt(self, messages: list[Message], tools: list[dict[str, Any]] | None) -> list[int]:
        chat = [{"role": message.role, "content": message.content} for message in messages]
        offered: list[Any] | None = tools
        rendered = self.tokenizer.apply_chat_template(chat, tools=offered, add_generation_prompt=True, tokenize=False)
        return list(self.tokenizer(rendered, add_special_tokens=False)["input_ids"])

    async def _answered(self, request: _Request) -> Any:
        self._waiting.append(request)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve(), name="local model")
        return await request.answer

    async def hold(self, seconds: float = HOLD_SECONDS) -> None:
        """Wait until no batch is in work, and let none begin until `release`. Raises `ModelBusy` after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._turn.acquire()
        except TimeoutError as error:
            raise ModelBusy(f"the model still answers requests after {seconds:g} s") from error

    def release(self) -> None:
        """Let batches begin again, after `hold`."""
        self._turn.release()

    async def idle(self, seconds: float = HOLD_SECONDS) -> None:
        """Wait until no batch is in work. Raises `ModelBusy` after `seconds`."""
        await self.hold(seconds)
        self.release()

    async def _serve(self) -> None:
        """Answer batch after batch until nobody waits."""
        while self._waiting:
            await asyncio.sleep(0.001)
            async with self._turn:
                if batch := self._next_batch():
                    await self._work_on(batch)

    async def _work_on(self, batch: list[_Request]) -> None:
        """Work on one batch in a thread. Its fault goes to whoever waits, and ends nothing else."""
        try:
            answers: Sequence[Choice | Completion | None] = await asyncio.to_thread(
                self._choose if batch[0].question else self._generate, batch
            )
        except BaseException as error:
            for request in batch:
                if request.wanted:
                    request.answer.set_exception(_copy(error, request.role))
            if not isinstance(error, Exception):
                raise
            return
        for request, answer in zip(batch, answers, strict=True):
            if request.wanted:
                request.answer.set_result(answer)

    def _next_batch(self) -> list[_Request]:
        """What is answered next: the executor's short turns first, so that the curator's long answers gather meanwhile."""
        waiting = [request for request in self._waiting if request.wanted]
        kinds: dict[tuple[object, ...], list[_Request]] = {}
        for request in waiting:
            kinds.setdefault(request.kind, []).append(request)
        urgent = max(kinds.values(), key=lambda waiters: (waiters[0].role == "executor", len(waiters)), default=[])
        batch = urgent[: self._max_batch]
        taken = {id(request) for request in batch}
        self._waiting = deque(request for request in waiting if id(request) not in taken)
        return batch

    @torch.inference_mode()
    def _generate(self, batch: list[_Request]) -> list[Completion]:
        """One left-padded batch through `generate`; all requests share role and sampling but the seed."""
        sampling = batch[0].sampling
        inputs = self.tokenizer.pad({"input_ids": [request.prompt_ids for request in batch]}, return_tensors="pt")
        inputs = inputs.to(self.model.device)
        seeds = [request.sampling.seed for request in batch]
        draw = SeededDraw(sampling, seeds, self.model.device, role=batch[0].role, stop=self.tokenizer.eos_token_id)
        settings = GenerationConfig(
            do_sample=False,
            max_new_tokens=sampling.max_tokens,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        with self._acting_as(batch[0].role):
            output = self.model.generate(
                **inputs,
                generation_config=settings,
                logits_processor=LogitsProcessorList([draw]),
                stopping_criteria=StoppingCriteriaList([_Unwanted(batch)]),
            )
        width = inputs["input_ids"].shape[1]
        logprobs = torch.stack(draw.logprobs, dim=1).tolist()
        return [
            self._completion(request, ids, row)
            for request, ids, row in zip(batch, output[:, width:].tolist(), logprobs, strict=True)
        ]

    def _choose(self, batch: list[_Request]) -> list[Choice | None]:
        """One batch of choices; each draws at its own temperature and from its own seed. None where it was given up."""
        with self._acting_as(batch[0].role):
            scores = choosing.score(
                self.model,
                [request.question for request in batch if request.question],
                wanted=lambda index: batch[index].wanted,
            )
        return [_choice(request, row) for request, row in zip(batch, scores, strict=True)]

    @contextmanager
    def _acting_as(self, role: Role) -> Iterator[None]:
        """The model in evaluation, the adapter off for the executor."""
        training = self.model.training
        self.model.eval()
        off = role == "executor" and hasattr(self.model, "disable_adapter")
        try:
            with self.model.disable_adapter() if off else nullcontext():
                yield
        finally:
            self.model.train(training)

    def _completion(self, request: _Request, ids: list[int], logprobs: list[float]) -> Completion:
        stop = self.tokenizer.eos_token_id
        stopped = stop in ids
        length = ids.index(stop) + 1 if stopped else len(ids)
        return Completion(
            text=str(self.tokenizer.decode(ids[: length - 1] if stopped else ids)),
            prompt_ids=request.prompt_ids,
            completion_ids=ids[:length],
            logprobs=logprobs[:length],
            finish="stop" if stopped else "length",
        )


class SeededDraw(LogitsProcessor):
    """Turns greedy decoding into sampling: adds Gumbel noise of each row's own seed to the filtered logits.

    argmax(logits/T + g) with g ~ Gumbel(0, 1) is a draw from softmax(logits/T) (the Gumbel-max trick). `logprobs` collects
    the natural log-probability of each drawn token under the unfiltered distribution at temperature 1. Where that is no
    finite number there is nothing to draw from: `NotFinite`, unless the row has ended with the token `stop` before.
    """

    def __init__(self, sampling: Sampling, seeds: list[int], device: torch.device, *, role: Role, stop: int) -> None:
        self.logprobs: list[torch.Tensor] = []
        self._role = role
        self._stop = stop
        self._ended = torch.zeros(len(seeds), dtype=torch.bool)
        self._generators = (
            [torch.Generator().manual_seed(seed % 2**63) for seed in seeds] if sampling.temperature else []
        )
        self._device = device
        self._warpers: list[LogitsProcessor] = []
        if sampling.temperature:
            self._warpers.append(TemperatureLogitsWarper(sampling.temperature))
            if sampling.top_k:
                self._warpers.append(TopKLogitsWarper(sampling.top_k))
            if sampling.top_p < 1.0:
                self._warpers.append(TopPLogitsWarper(sampling.top_p))

    def __call__(self, input_ids: torch.LongTensor, scores: Any) -> Any:
        raw = scores.float()
        drawn = raw
        for warper in self._warpers:
            drawn = warper(input_ids, drawn)
        if self._generators:
            uniform = torch.stack([torch.rand(raw.shape[-1], generator=generator) for generator in self._generators])
            drawn = drawn - torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7))).to(self._device)
        token = drawn.argmax(dim=-1, keepdim=True)
        logprobs = raw.log_softmax(dim=-1).gather(-1, token).squeeze(-1).cpu()
        if not bool((logprobs.isfinite() | self._ended).all()):
            raise NotFinite(self._role)
        self.logprobs.append(logprobs)
        self._ended |= token.squeeze(-1).cpu() == self._stop
        return drawn


class _Unwanted(StoppingCriteria):
    """Ends the rows of a batch whose requests nobody waits for any more. The others draw on as if nothing had happened."""

    def __init__(self, batch: Sequence[_Request]) -> None:
        self._batch = batch

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> Any:
        return torch.tensor([not request.wanted for request in self._batch], device=input_ids.device)


def _choice(request: _Request, scores: list[float]) -> Choice | None:
    assert request.question is not None
    if len(scores) < len(request.question.options):
        return None
    if not all(map(math.isfinite, scores)):
        raise NotFinite(request.role)
    index = choosing.pick(scores, request.sampling.temperature, request.sampling.seed)
    return Choice(index, request.question.options[index], scores, request.prompt_ids)


def _check_length(prompt_ids: list[int], limit: int) -> None:
    if len(prompt_ids) > limit:
        raise PromptTooLong(len(prompt_ids), limit)


def _copy(error: BaseException, role: Role) -> BaseException:
    """An error for one waiter of many: each gets its own, so that tracebacks do not grow into each other."""
    if isinstance(error, NotFinite):
        return NotFinite(role)
    copy = RuntimeError(f"the model failed on a batch: {type(error).__name__}: {error}")
    copy.__cause__ = error
    return copy
