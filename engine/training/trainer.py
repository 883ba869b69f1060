"""GRPO steps by TRL's `GRPOTrainer`, fed through `rollout_func` with samples that the engine's own rollouts made.

    base, sink = opened.for_training()
    session = GrpoSession(
        config, base, sink, checkpoints=run.checkpoints, play=play, after_update=log_update, after_step=log_checkpoint
    )
    await session.run(resume_from=None)

TRL's loop runs in a thread; each step it calls back for the step's samples, which are played on this event loop. One group
is N·|G| rows (`num_generations`) times the samples of a position. Every rollout has equally many rows, so TRL's A = r −
mean(r) over the rows is that over the rollouts. TRL and PEFT take seconds to import: only the engine's worker imports this
module.

Three rules hold for each update:

- From the moment at which the samples are complete until the new adapter is published, the session holds models that answer
  with the weights that it trains (`SharedBase.hold`): requests that were given up have ended, and none begins.
  `AdapterSink.publish` returns when it is proved that the curator that answers is the adapter of the checkpoint.
- A step without a gradient (`samples.why_skipped`, or a gradient that is zero everywhere) leaves weights and optimiser
  as they are, bit for bit. The gradients are removed before AdamW, whose momentum would otherwise still change the
  weights. The step counts, its checkpoint is written, and its `Update` has the reason why it was skipped.
- A NaN or infinite number ends the session with `Diverged`: a log-probability, the loss, the gradient, a weight or the
  optimiser's state. It is found before the checkpoint is written, so training can continue from the newest checkpoint.
"""

from __future__ import annotations

import asyncio
import logging
import math
import warnings
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import torch
from datasets import Dataset
from peft import LoraConfig
from safetensors import SafetensorError
from torch import Tensor
from transformers import PreTrainedModel, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from engine.config import Config
from engine.curation.registry import strategy_kind
from engine.models.base import AdapterSink, NotFinite, Proof, SharedBase, TrainableBase, not_finite_in
from engine.runs.errors import RunError, WriteFailed
from engine.system.preflight import check_training_sampling
from engine.training import checkpoints as saved
from engine.training.diverged import Diverged, diverged_in_answer, diverged_in_update
from engine.training.origin import origin_of
from engine.training.samples import (
    ZERO_GRADIENT,
    TrainingSample,
    all_finite,
    as_columns,
    group_rows,
    is_stale,
    why_skipped,
    wrong_ids,
)
from engine.training.settings import rows_of_step

END_SECONDS = 600.0
"""How long a session that is cancelled waits for TRL's thread, which ends at its next callback."""
TORCH_WRITER = ("inline_container", "iostream error")  # in messages of torch's file writer, which has no error class


class Update(msgspec.Struct, frozen=True):
    """What one optimiser step reports; None where TRL does not. `skipped` is the reason why nothing was updated, or ""."""

    step: int
    loss: float | None
    grad_norm: float | None
    entropy: float | None
    kl: float | None
    learning_rate: float
    skipped: str = ""


class Ticket(msgspec.Struct, frozen=True):
    """A dataset row: the step and the group whose samples it asks for."""

    step: int
    number: int


T = TypeVar("T")
Play = Callable[[int], Coroutine[Any, Any, list[TrainingSample]]]


async def _ignore(step: int, proof: Proof) -> None:
    """Do nothing with a proof."""


class GrpoSession:
    """One training session over a base model. Each step's adapter is published to `sink`.

    `play(step)` makes the samples of a step; `after_update(update)` comes before the checkpoint is in place,
    `after_publish(step, proof)` after its adapter was published, and then `after_step(step, checkpoint)`; each runs on
    `loop` (the running one by default), and what they raise ends the session.
    """

    def __init__(
        self,
        config: Config,
        base: TrainableBase,
        sink: AdapterSink,
        *,
        checkpoints: Path,
        play: Play,
        after_update: Callable[[Update], Coroutine[Any, Any, None]],
        after_step: Callable[[int, Path], Coroutine[Any, Any, None]],
        after_publish: Callable[[int, Proof], Coroutine[Any, Any, None]] = _ignore,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._base = base
        self._shared = base if isinstance(base, SharedBase) else None
        self._sink = sink
        self._play = play
        self.after_update = after_update
        self.after_step = after_step
        self._after_publish = after_publish
        self.checkpoints = checkpoints
        self.origin = origin_of(config)
        self._loop = loop or asyncio.get_running_loop()
        self._callback: asyncio.Task[Any] | None = None
        self._ending = False
        self._ended: asyncio.Task[None] | None = None
        self._holding = False
        self.skipped = ""
        self._resumed: Path | None = None
        self._trainer = self._make_trainer()
        if self._shared is not None:
            self._shared.serve(self._trainer.model)

    def _make_trainer(self) -> GRPOTrainer:
        """TRL's trainer over a new adapter on the base. It prints nothing: its messages arrive as metrics."""
        logging.getLogger("trl").setLevel(logging.ERROR)  # it would log every prompt of an unmeasured rollout
        adapter = LoraConfig(
            r=self._config.training.lora_rank,
            lora_alpha=self._config.training.lora_alpha,
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        base = self._base.lend()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="You are using 'rollout_func'")
            trainer = _Trainer(
                model=base,
                args=_arguments(self._config, base, self.checkpoints / saved.PARTIAL),
                processing_class=self._base.vocabulary,
                train_dataset=_tickets(self._config),
                reward_funcs=[_reward],
                rollout_func=self._rollouts,
                peft_config=adapter,
                callbacks=[_Progress(self)],
            )
        trainer.session = self
        trainer.remove_callback(PrinterCallback)
        return trainer

    async def run(self, resume_from: Path | None) -> None:
        """Train to the last step. However it ends, TRL's thread has ended by then, and models that share the base are idle.

        Raises whatever `play` or the callbacks raised, `Diverged`, `NotPublished`, and `RunError` for a checkpoint without a
        file it needs.
        """
        self._ending = False
        self._resumed = resume_from
        if resume_from is not None:
            _check_resumable(resume_from)
        training = asyncio.ensure_future(
            asyncio.to_thread(self._trainer.train, resume_from_checkpoint=str(resume_from) if resume_from else None)
        )
        try:
            await asyncio.shield(training)
        finally:
            self._ended = asyncio.create_task(self._end(training), name="end of the session")
            await asyncio.shield(self._ended)  # also where the session is cancelled twice

    async def _end(self, training: asyncio.Future[Any]) -> None:
        """Let TRL's thread end at its next callback, and then the requests that are in work."""
        self._ending = True
        if self._callback is not None:
            self._callback.cancel()
        await asyncio.wait({training}, timeout=END_SECONDS)
        if training.done() and not training.cancelled():
            training.exception()  # was raised, unless the session was cancelled before
        await self._release()
        if self._shared is not None:
            await self._shared.idle()

    def wait_for(self, awaitable: Coroutine[Any, Any, T]) -> T:
        """Let the event loop do `awaitable` while TRL's thread waits; it is cancelled when the session is."""

        async def work() -> T:
            if self._ending:
                awaitable.close()
                raise asyncio.CancelledError
            self._callback = asyncio.current_task()
            return await awaitable

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result()

    def ask(self, awaitable: Coroutine[Any, Any, T], step: int, phase: str) -> T:
        """`wait_for` something in which the model answers. Raises `Diverged` where it answers with what is no number."""
        try:
            return self.wait_for(awaitable)
        except (NotFinite, BaseExceptionGroup) as error:
            if (found := not_finite_in(error)) is None:
                raise
            newest = next((path for _, path in saved.newest_first(self.checkpoints)), None)
            raise diverged_in_answer(f"step {step}, {phase}", found, self._config, newest) from error

    def diverged(self, step: int, phase: str, what: str) -> Diverged:
        """The error for `what` is not finite in an update, or in the samples for it."""
        return diverged_in_update(f"step {step}, {phase}: {what}", self._config, self.checkpoints)

    def begun(self, step: int) -> None:
        """Publish the checkpoint that the session continues from, whose weights TRL has loaded by now."""
        if self._resumed is not None:
            self.wait_for(self._hold())
            self.published(self._resumed, step)

    def published(self, checkpoint: Path, step: int) -> None:
        """Publish the adapter of `checkpoint` and let the models answer again."""
        proof = self.wait_for(self._sink.publish(checkpoint, step))
        self.wait_for(self._after_publish(step, proof))
        self.wait_for(self._release())

    async def _hold(self) -> None:
        if self._shared is not None:
            await self._shared.hold()
            self._holding = True

    async def _release(self) -> None:
        if self._shared is not None and self._holding:
            self._holding = False
            self._shared.release()

    def _rollouts(self, prompts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        """TRL's `rollout_func`: the samples of the step whose tickets `prompts` are."""
        tickets = [msgspec.json.decode(prompt, type=Ticket) for prompt in prompts]
        step = trainer.state.global_step + 1
        expected = [Ticket(step, number) for number in range(self._config.training.groups)]
        rows = group_rows(self._config)
        if tickets != [ticket for ticket in expected for _ in range(rows)]:
            raise RuntimeError(
                f"TRL asked for {tickets[0]} … at step {step}: its data order is not the one we count on"
            )
        samples = self.ask(self._play(step), step, "rollouts")
        if len(samples) != len(prompts):
            raise RuntimeError(f"step {step} made {len(samples)} samples where TRL needs {len(prompts)}")
        if wrong := wrong_ids(samples, int(self._trainer.model.get_input_embeddings().num_embeddings)):
            raise RunError(f"step {step}, rollouts: {wrong}. The models that answer are not the base that is trained")
        if stale := sum(is_stale(sample, step - 1) for sample in samples):
            raise RunError(
                f"step {step}, rollouts: {stale} of {len(samples)} samples were answered by another adapter than that of "
                f"step {step - 1}, so the update cannot train on them"
            )
        if not all_finite(samples):
            raise self.diverged(step, "rollouts", "a sample has a log-probability or a reward that is not finite")
        self.skipped = why_skipped(samples, rows, kl=self._config.training.kl)
        self.wait_for(self._hold())
        return as_columns(samples)


class _Trainer(GRPOTrainer):
    """TRL's trainer. It raises `Diverged` at the first loss or gradient that is not finite, and `WriteFailed` where a
    checkpoint cannot be written: torch's own error does not name the disk.

    Only errors of writing files become `WriteFailed`: OSError, safetensors' error, and the RuntimeError of torch's writer.
    """

    session: GrpoSession

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not bool(loss.isfinite()):
            raise self._diverged(f"the loss is {loss.item()}")
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """The length of the gradient, which the loop asks for before each optimiser step."""
        norm = super()._get_grad_norm(model, grad_norm)
        if not math.isfinite(norm):
            raise self._diverged(f"the length of the gradient is {float(norm)}")
        return norm

    def _diverged(self, what: str) -> Diverged:
        return self.session.diverged(self.state.global_step + 1, "update", what)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        run = self.session.checkpoints.parent
        if not run.is_dir():  # Transformers would make it again
            raise WriteFailed(f"the checkpoint of step {self.state.global_step} cannot be written: {run} is gone")
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, SafetensorError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not any(words in str(error) for words in TORCH_WRITER):
                raise
            raise WriteFailed(
                f"the checkpoint of step {self.state.global_step} cannot be written to {self.args.output_dir}: {error}. "
                "If the disk is full, free some space and resume. The checkpoints before it are safe"
            ) from error


class _Progress(TrainerCallback):
    """Checks each optimiser step, and gives TRL's metrics and finished checkpoints to the session."""

    def __init__(self, session: GrpoSession) -> None:
        self._session = session

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._session.begun(state.global_step)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Remove the gradients of a step that is skipped: AdamW ignores a parameter without one."""
        session = self._session
        if not session.skipped and not any(bool(gradient.any()) for gradient in _gradients(model)):
            session.skipped = ZERO_GRADIENT
        if session.skipped:
            model.zero_grad(set_to_none=True)

    def on_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **kwargs: Any
    ) -> None:
        """Refuse weights and optimiser states that are not finite, before they become a checkpoint."""
        if not all(bool(tensor.isfinite().all()) for tensor in _written(model, optimizer)):
            raise self._session.diverged(state.global_step + 1, "update", "the adapter or the optimiser is not finite")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        logs = logs or {}
        if "entropy" not in logs:
            return
        update = Update(
            step=state.global_step,
            loss=logs.get("loss"),
            grad_norm=logs.get("grad_norm"),
            entropy=logs.get("entropy"),
            kl=logs.get("kl"),
            learning_rate=float(logs.get("learning_rate", 0.0)),
            skipped=self._session.skipped,
        )
        self._session.wait_for(self._session.after_update(update))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        written = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        step = state.global_step
        final = saved.keep(written, self._session.checkpoints, step, self._session.origin)
        self._session.published(final, step)
        self._session.ask(self._session.after_step(step, final), step, "after the update")


def _gradients(model: Any) -> list[Tensor]:
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def _written(model: Any, optimizer: Any) -> list[Tensor]:
    """What an optimiser step writes: the trained weights, and the optimiser's state of them."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    states = [value for state in optimizer.state.values() for value in state.values()]
    return [*trained, *(value for value in states if isinstance(value, Tensor))]


def _check_resumable(checkpoint: Path) -> None:
    """Raises `RunError` for a checkpoint that training cannot continue from."""
    if lacking := saved.lacking(checkpoint):
        raise RunError(f"{checkpoint} cannot be resumed from: it lacks {', '.join(lacking)}")
    if fault := saved.fault_of(checkpoint):
        raise RunError(f"{checkpoint} cannot be resumed from: {fault}")


def _reward(reward: Sequence[float | None], **columns: Any) -> list[float | None]:
    """TRL's reward function: the reward that the rollout already has."""
    return list(reward)


def _tickets(config: Config) -> Dataset:
    """One row a group, in the order in which the steps use them."""
    training = config.training
    tickets = [Ticket(step, number) for step in range(1, training.steps + 1) for number in range(training.groups)]
    return Dataset.from_list([{"prompt": msgspec.json.encode(ticket).decode()} for ticket in tickets])


def _arguments(config: Config, base: PreTrainedModel, output: Path) -> GRPOConfig:
    """TRL's settings for training on `base`, with every value that changes the update, also where it is TRL's default: no
    division by the standard deviation, one update a batch, plain AdamW. Raises `ConfigError` as `check_training_sampling`.
    """
    check_training_sampling(config.curator)
    training = config.training
    rows = rows_of_step(training, strategy_kind(config.strategy).samples_per_position)
    accumulation = rows // training.micro_batch
    return GRPOConfig(
        output_dir=str(output),
        max_steps=training.steps,
        num_generations=group_rows(config),
        per_device_train_batch_size=training.micro_batch,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation,
        num_iterations=1,
        optim="adamw_torch_fused",
        learning_rate=training.learning_rate,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        adam_beta1=0.9,
        adam_beta2=0.999,
        adam_epsilon=1e-8,
        max_grad_norm=training.max_grad_norm,
        epsilon=training.clip,
        beta=training.kl,
        use_bias_correction_kl=training.kl_estimator == "k3_corrected",
        importance_sampling_level="token",
        scale_rewards="none",
        loss_type="dapo",
        temperature=config.curator.temperature,
        shuffle_dataset=False,
        gradient_checkpointing=training.gradient_checkpointing,
        bf16=base.dtype == torch.bfloat16 and base.device.type != "cpu",
        use_cpu=base.device.type == "cpu",
        seed=training.seed,
        save_strategy="steps",
        save_steps=1,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
    )
