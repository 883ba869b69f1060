"""GRPO steps by TRL's `GRPOTrainer`, fed through `rollout_func` with samples that the engine's own rollouts made.

    session = GrpoSession(
        config, base, tokenizer, checkpoints=run.checkpoints, play=play, after_update=told, after_step=saved
    )
    await session.run(resume_from=None)

TRL's loop runs in a thread; each step it calls back for the step's samples, which are played on this event loop. One group
is N·|G| rows (`num_generations`), so TRL's A = r − mean(r) over the rows is the rollouts' own, since every rollout has
|G| rows. TRL and PEFT take seconds to import: this module is imported only by the engine's worker.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from datasets import Dataset
from peft import LoraConfig
from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from engine.config import Config
from engine.models.local import LocalModel
from engine.runs.errors import WriteFailed
from engine.training import checkpoints as saved
from engine.training.samples import TrainingSample, as_columns

TORCH_WRITER = ("inline_container", "iostream error")  # in what torch's file writer says, which has no error class


class Update(msgspec.Struct, frozen=True):
    """What one optimiser step reports; None where TRL does not say."""

    step: int
    loss: float | None
    grad_norm: float | None
    entropy: float | None
    kl: float | None
    learning_rate: float


class Ticket(msgspec.Struct, frozen=True):
    """A dataset row: which group of which step it stands for."""

    step: int
    number: int


Play = Callable[[int], Awaitable[list[TrainingSample]]]


class GrpoSession:
    """One training session over a base model. `model` answers both roles while it trains.

    `play(step)` makes the samples of a step; `after_update(update)` comes before the checkpoint is in place,
    `after_step(step, checkpoint)` after; each runs on `loop` (the running one by default), and what they raise ends the
    session.
    """

    def __init__(
        self,
        config: Config,
        base: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        checkpoints: Path,
        play: Play,
        after_update: Callable[[Update], Awaitable[None]],
        after_step: Callable[[int, Path], Awaitable[None]],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._play = play
        self.after_update = after_update
        self.after_step = after_step
        self.checkpoints = checkpoints
        self._loop = loop or asyncio.get_running_loop()
        self._trainer = self._make_trainer(base, tokenizer)
        self.model = LocalModel(
            self._trainer.model, tokenizer, max_batch=config.model.max_batch, context=config.model.context
        )

    def _make_trainer(self, base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> GRPOTrainer:
        """TRL's trainer over a new adapter. It prints nothing: what it says arrives as metrics."""
        adapter = LoraConfig(
            r=self._config.training.lora_rank,
            lora_alpha=self._config.training.lora_alpha,
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="You are using 'rollout_func'")
            trainer = _Trainer(
                model=base,
                args=_arguments(self._config, self.checkpoints / saved.PARTIAL),
                processing_class=tokenizer,
                train_dataset=_tickets(self._config),
                reward_funcs=[_reward],
                rollout_func=self._rollouts,
                peft_config=adapter,
                callbacks=[_Progress(self)],
            )
        trainer.remove_callback(PrinterCallback)
        return trainer

    async def run(self, resume_from: Path | None) -> None:
        """Train to the last step. Raises whatever `play` or the callbacks raised."""
        await asyncio.to_thread(self._trainer.train, resume_from_checkpoint=str(resume_from) if resume_from else None)

    def wait_for(self, awaitable: Awaitable[Any]) -> Any:
        """Let the event loop do `awaitable` while TRL's thread waits."""

        async def work() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result()

    def _rollouts(self, prompts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        """TRL's `rollout_func`: the samples of the step whose tickets `prompts` are."""
        tickets = [msgspec.json.decode(prompt, type=Ticket) for prompt in prompts]
        step = trainer.state.global_step + 1
        expected = [Ticket(step, number) for number in range(self._config.training.groups)]
        rows = self._config.training.rollouts * self._config.training.tasks
        if tickets != [ticket for ticket in expected for _ in range(rows)]:
            raise RuntimeError(
                f"TRL asked for {tickets[0]} … at step {step}: its data order is not the one we count on"
            )
        samples = self.wait_for(self._play(step))
        if len(samples) != len(prompts):
            raise RuntimeError(f"step {step} made {len(samples)} samples where TRL needs {len(prompts)}")
        return as_columns(samples)


class _Trainer(GRPOTrainer):
    """TRL's trainer, which says in words when a checkpoint cannot be written: torch's own error names no disk.

    Only what writing files raises is told so: OSError, safetensors' error, and the RuntimeError of torch's file writer.
    """

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
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
    """Hands TRL's metrics and finished checkpoints to the session."""

    def __init__(self, session: GrpoSession) -> None:
        self._session = session

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
        )
        self._session.wait_for(self._session.after_update(update))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        written = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        final = saved.settle(written, self._session.checkpoints, state.global_step)
        self._session.wait_for(self._session.after_step(state.global_step, final))


def _reward(reward: Sequence[float | None], **columns: Any) -> list[float | None]:
    """TRL's reward function: the reward that the rollout already has."""
    return list(reward)


def _tickets(config: Config) -> Dataset:
    """One row a group, in the order in which the steps use them."""
    training = config.training
    tickets = [Ticket(step, number) for step in range(1, training.steps + 1) for number in range(training.groups)]
    return Dataset.from_list([{"prompt": msgspec.json.encode(ticket).decode()} for ticket in tickets])


def _arguments(config: Config, output: Path) -> GRPOConfig:
    """TRL's settings. Whatever the method fixes is fixed here: no division by the standard deviation, one update a batch."""
    training = config.training
    rows = training.groups * training.rollouts * training.tasks
    if rows % training.micro_batch:
        raise ValueError(f"training.micro_batch = {training.micro_batch} must divide the {rows} samples of a step")
    accumulation = rows // training.micro_batch
    return GRPOConfig(
        output_dir=str(output),
        max_steps=training.steps,
        num_generations=training.rollouts * training.tasks,
        per_device_train_batch_size=training.micro_batch,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation,
        num_iterations=1,
        learning_rate=training.learning_rate,
        lr_scheduler_type="constant",
        max_grad_norm=training.max_grad_norm,
        epsilon=training.clip,
        beta=training.kl,
        scale_rewards="none",
        loss_type="dapo",
        temperature=config.curator.temperature,
        max_completion_length=config.curator.max_tokens,
        shuffle_dataset=False,
        gradient_checkpointing=False,
        bf16=config.model.dtype == "bfloat16" and config.model.device != "cpu",
        use_cpu=config.model.device == "cpu",
        seed=training.seed,
        save_strategy="steps",
        save_steps=1,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
    )
