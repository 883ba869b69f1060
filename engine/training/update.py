"""One update of the curator: micro-batches through the network, the gradient, AdamW.

    updater = Updater(network, config, corrects=True)
    made = updater.update(samples, step, skipped="")        # in a thread; changes the network
    updater.cancel()                                        # from any thread: `update` raises `Cancelled` soon

The network stays in evaluation: nothing in it is dropped at random, so that the trainer's probabilities are the sampler's. A
sample that has no gradient (mask 0, or advantage 0 without a KL term) does not go through the network; it counts in the
normalisation. Weights change at the end of `update` only.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import msgspec
import torch
from torch import Tensor

from engine.config import Config
from engine.core.records import SamplerRatio
from engine.models.local.attention import no_matrix
from engine.system.memory import returning_freed
from engine.training import loss, schedule
from engine.training.batches import micro_batches
from engine.training.logprobs import last_hidden, padded, token_logprobs
from engine.training.network import causal_of, reference, trained
from engine.training.samples import ZERO_GRADIENT, TrainingSample, group_rows

NEAR = 0.9, 1.1
"""Ratios of the trainer's to the sampler's probability outside of this are counted."""


class Update(msgspec.Struct, frozen=True):
    """What one optimiser step reports. `skipped` is the reason why nothing was updated, or "".

    `entropy`, `kl`, `clip_share` and `corrected_share` are means over the `tokens` that are trained on, None where none is.
    `sequence_tokens` are all that went through the network, without padding. `ratio` compares trainer and sampler.
    """

    step: int
    loss: float | None
    grad_norm: float | None
    entropy: float | None
    kl: float | None
    learning_rate: float
    skipped: str = ""
    tokens: int | None = None
    sequence_tokens: int | None = None
    ratio: SamplerRatio | None = None
    clip_share: float | None = None
    corrected_share: float | None = None


class Cancelled(Exception):
    """The update was given up; the weights are those before it."""


class NotFiniteUpdate(Exception):
    """A number of the update is NaN or infinite; the message says which."""


class Row(msgspec.Struct, frozen=True):
    """A sample that goes through the network, its advantage, and the weight of each of its tokens in the loss."""

    sample: TrainingSample
    advantage: float
    weight: float

    @property
    def ids(self) -> list[int]:
        return [*self.sample.prompt_ids, *self.sample.completion_ids]


class _Tokens(msgspec.Struct):
    """What is known of the tokens of some micro-batches; tensors of the shape (tokens,)."""

    entropy: list[Tensor]
    ratio: list[Tensor]
    clipped: list[Tensor]
    kl: list[Tensor]


class Updater:
    """The optimiser of a network and its updates. `corrects`: the sampler is not the network itself, so that
    `training.importance_correction=servers` applies. `base` is the frozen base where the network is a copy of it."""

    def __init__(self, network: Any, config: Config, *, corrects: bool, base: Any = None) -> None:
        training = config.training
        self.network = network
        self._base = base
        self._training = training
        self._temperature = config.curator.temperature
        self._longest = config.curator.max_tokens
        self._rollout_rows = group_rows(config) // training.rollouts
        self._corrects = {"servers": corrects, "always": True, "never": False}[training.importance_correction]
        self._causal = causal_of(network)
        self._cancelled = threading.Event()
        weights = trained(network)
        matrices, others = [one for one in weights if one.ndim > 1], [one for one in weights if one.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": training.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=training.learning_rate,
            betas=(0.9, 0.999),
            eps=1e-8,
            fused=True,
        )
        if training.gradient_checkpointing:
            self._causal.gradient_checkpointing_enable({"use_reentrant": False})

    def cancel(self) -> None:
        """Let an update end before its next micro-batch."""
        self._cancelled.set()

    def rows(self, samples: Sequence[TrainingSample]) -> list[Row]:
        """The samples of a step that have a gradient."""
        training = self._training
        weights = loss.token_weights(samples, training.normalisation, self._longest)
        rewards = [sample.reward for sample in samples[:: self._rollout_rows]]
        starts = range(0, len(rewards), training.rollouts)
        of_rollouts = [
            value
            for start in starts
            for value in loss.advantages(rewards[start : start + training.rollouts], training.advantage_scale)
        ]
        made = [
            Row(sample, of_rollouts[number // self._rollout_rows], weight)
            for number, (sample, weight) in enumerate(zip(samples, weights, strict=True))
        ]
        return [row for row in made if any(row.sample.mask) and (row.advantage or training.kl)]

    def update(self, samples: Sequence[TrainingSample], step: int, skipped: str = "") -> Update:
        """Train on the samples of a step, which are in groups, rollouts and positions; not where it is `skipped`.

        Raises `NotFiniteUpdate` and `Cancelled`.
        """
        training, rate = self._training, schedule.rate(self._training, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rows = [] if skipped else self.rows(samples)
        made = Update(step, 0.0, 0.0, None, None, rate, skipped, tokens=0, sequence_tokens=0)
        if not rows:
            return made if skipped else msgspec.structs.replace(made, skipped=ZERO_GRADIENT)
        try:
            with (
                _threads(training.threads),
                _recomputing(self._causal, training.gradient_checkpointing),
                no_matrix(self._causal),
                no_matrix(self._causal if self._base is None else self._base),
                _alone_on(self._causal.device),
                returning_freed() if training.gradient_checkpointing else nullcontext(),
            ):
                total, seen = self._backward(rows)
                norm = self._length()
                if not any(bool(one.grad.any()) for one in trained(self.network) if one.grad is not None):
                    skipped = ZERO_GRADIENT
                else:
                    self._step(norm)
        finally:
            self.optimizer.zero_grad(set_to_none=True)
        ratio = torch.cat(seen.ratio)
        corrected = _mean([one > training.importance_cap for one in seen.ratio]) if self._corrects else None
        return Update(
            step=step,
            loss=total,
            grad_norm=norm,
            entropy=_mean(seen.entropy),
            kl=_mean(seen.kl) if training.kl else None,
            learning_rate=rate,
            skipped=skipped,
            tokens=len(ratio),
            sequence_tokens=sum(len(row.ids) for row in rows),
            ratio=sampler_ratio(ratio),
            clip_share=_mean(seen.clipped),
            corrected_share=corrected,
        )

    def _backward(self, rows: list[Row]) -> tuple[float, _Tokens]:
        """Add up the gradient of each micro-batch; the loss, and what is known of the tokens."""
        total, seen = 0.0, _Tokens([], [], [], [])
        for batch in micro_batches([len(row.ids) for row in rows], self._training.micro_batch_tokens):
            if self._cancelled.is_set():
                raise Cancelled
            value = self.loss([rows[index] for index in batch], seen)
            if not bool(value.isfinite()):
                raise NotFiniteUpdate(f"the loss is {value.item()}")
            value.backward()  # type: ignore[no-untyped-call]
            total += value.item()
        return total, seen

    def loss(self, rows: Sequence[Row], seen: _Tokens) -> Tensor:
        """The loss of some rows of a step, with its graph; what is known of their tokens is added to `seen`."""
        training, device = self._training, self._causal.device
        ids = padded([row.ids for row in rows], device)
        places = [(number, row, at) for number, row in enumerate(rows) for at, on in enumerate(row.sample.mask) if on]
        where = torch.tensor([number for number, _, _ in places], device=device)
        before = torch.tensor([len(row.sample.prompt_ids) + at - 1 for _, row, at in places], device=device)
        sampled = torch.tensor([row.sample.logprobs[at] for _, row, at in places], device=device)
        advantage = torch.tensor([row.advantage for _, row, _ in places], device=device)
        weight = torch.tensor([row.weight for _, row, _ in places], device=device)
        targets = ids[where, before + 1]

        def read(causal: Any = self._causal) -> Tensor:
            with self._autocast():
                return last_hidden(causal, ids)[where, before]

        def logprobs(hidden: Tensor, temperature: float, causal: Any = self._causal) -> tuple[Tensor, Tensor]:
            with self._autocast():
                return token_logprobs(causal, hidden, targets, temperature=temperature)

        hidden = read()
        now, entropy = logprobs(hidden, self._temperature)
        plain = now.detach()
        if self._temperature != 1.0:
            with torch.no_grad():
                plain, _ = logprobs(hidden, 1.0)
        each, clipped = loss.surrogate(now, now.detach(), advantage, low=training.clip_low, high=training.clip_high)
        if self._corrects:
            each = each * loss.correction(plain, sampled, training.importance_cap)
        if training.kl:
            with torch.no_grad(), reference(self.network, self._base) as frozen:
                base, _ = logprobs(read(frozen), self._temperature, frozen)
            term = loss.kl(now, now.detach(), base, training.kl_estimator)
            each = each + training.kl * term
            seen.kl.append(term.detach())
        seen.entropy.append(entropy)
        seen.ratio.append(torch.exp(plain - sampled))
        seen.clipped.append(clipped)
        return (each * weight).sum()

    def _length(self) -> float:
        """The length of the gradient. Raises `NotFiniteUpdate`."""
        gradients = [one.grad for one in trained(self.network) if one.grad is not None]
        length = float(torch.nn.utils.get_total_norm(gradients))
        if not math.isfinite(length):
            raise NotFiniteUpdate(f"the length of the gradient is {length}")
        return length

    def _step(self, length: float) -> None:
        """Cut the gradient of `length` to the greatest allowed length, and change the weights."""
        weights = trained(self.network)
        if self._training.max_grad_norm:
            torch.nn.utils.clip_grads_with_norm_(weights, self._training.max_grad_norm, torch.tensor(length))
        self.optimizer.step()
        states = [value for state in self.optimizer.state.values() for value in state.values()]
        written = [*weights, *(value for value in states if isinstance(value, Tensor))]
        if not all(bool(one.isfinite().all()) for one in written):
            raise NotFiniteUpdate("a weight or the optimiser is not finite")

    def _autocast(self) -> Any:
        """On an accelerator the adapter of a base in bfloat16 is applied in bfloat16; a CPU has no gain from it."""
        device, dtype = self._causal.device.type, self._causal.dtype
        return torch.autocast(device, dtype) if dtype == torch.bfloat16 and device != "cpu" else nullcontext()


def sampler_ratio(ratio: Tensor) -> SamplerRatio:
    """The summary of the ratio of each token, of the shape (tokens,)."""
    outside = (ratio < NEAR[0]) | (ratio > NEAR[1])
    ninety_nine = float(ratio.sort().values[math.ceil(0.99 * len(ratio)) - 1])
    return SamplerRatio(float(ratio.mean()), ninety_nine, float(outside.float().mean()), len(ratio))


def _mean(parts: Sequence[Tensor]) -> float:
    return float(torch.cat(list(parts)).float().mean())


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """So many CPU threads for this thread's work; 0: as many as there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _alone_on(device: torch.device) -> Iterator[None]:
    """A GPU has memory for the update alone: before and after it, what PyTorch has reserved and does not use is returned.
    Blocks that rollouts or shorter texts left are too small for longer ones, and a model server may need them: in an update
    after a shorter one PyTorch had reserved 20.2 GB on an H100 and used 16.0 GB at most."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()


@contextmanager
def _recomputing(causal: Any, on: bool) -> Iterator[None]:
    """Let the layers compute their activations again in the backward pass: transformers does so in layers that are in
    training. What is in them stays in evaluation."""
    layers = [module for module in causal.modules() if hasattr(module, "gradient_checkpointing")] if on else []
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer in layers:
            layer.training = False
