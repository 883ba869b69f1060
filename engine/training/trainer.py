"""GRPO steps over samples that the engine's own rollouts made: play, update, save, publish.

    base, sink = opened.for_training()
    session = GrpoSession(
        config, base, sink, checkpoints=run.checkpoints, play=play, after_update=log_update, after_step=log_checkpoint
    )
    await session.run(resume_from=None)

The steps run on the event loop; updates (`update`) and checkpoints (`state`) are made in a thread. transformers and PEFT
take seconds to import: only the engine's worker imports this module.

Three rules hold for each update:

- From the moment at which the samples are complete until the new adapter is published, the session holds models that answer
  with the weights that it trains (`SharedBase.hold`): requests that were given up have ended, and none begins.
  `AdapterSink.publish` returns when it is proved that the curator that answers is the adapter of the checkpoint.
- A step without a gradient (`samples.why_skipped`, or a gradient that is zero everywhere) leaves weights and optimiser
  as they are, bit for bit: AdamW's momentum would otherwise still change the weights. The step counts, its checkpoint is
  written, and its `Update` has the reason why it was skipped.
- A NaN or infinite number ends the session with `Diverged`: a log-probability, the loss, the gradient, a weight or the
  optimiser's state. It is found before the checkpoint is written, so training can continue from the newest checkpoint.

A session that is cancelled in an update ends at its next micro-batch, with the weights of before.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from engine.config import Config
from engine.models.base import AdapterSink, NotFinite, Proof, SharedBase, TrainableBase, not_finite_in
from engine.runs.errors import RunError
from engine.system.preflight import check_training_sampling
from engine.training import checkpoints as saved
from engine.training import state
from engine.training.diverged import diverged_in_answer, diverged_in_update
from engine.training.network import trainable
from engine.training.origin import origin_of
from engine.training.samples import TrainingSample, all_finite, group_rows, is_stale, why_skipped, wrong_ids
from engine.training.update import NotFiniteUpdate, Updater
from engine.training.update import Update as Update

END_SECONDS = 600.0
"""How long a session that is cancelled waits for its thread: one micro-batch, or the writing of a checkpoint."""

T = TypeVar("T")
Play = Callable[[int], Awaitable[list[TrainingSample]]]
More = Callable[[int], Awaitable[bool]]


async def _ignore(step: int, proof: Proof) -> None:
    """Do nothing with a proof."""


class GrpoSession:
    """One training session over a base model. Each step's adapter is published to `sink`.

    `more(step)` says before each step whether it is to be made; by default all `training.steps` are. `play(step)` makes its
    samples; `after_update(update)` comes before the checkpoint is in place, `after_publish(step, proof)` after its adapter
    was published, and then `after_step(step, checkpoint)`. What they raise ends the session.
    """

    def __init__(
        self,
        config: Config,
        base: TrainableBase,
        sink: AdapterSink,
        *,
        checkpoints: Path,
        play: Play,
        after_update: Callable[[Update], Awaitable[None]],
        after_step: Callable[[int, Path], Awaitable[None]],
        after_publish: Callable[[int, Proof], Awaitable[None]] = _ignore,
        more: More | None = None,
    ) -> None:
        """Puts an adapter on the base, or copies it, which takes a moment and needs no event loop. Raises `ConfigError` as
        `check_training_sampling`."""
        check_training_sampling(config.curator)
        self._config = config
        self._base = base
        self._shared = base if isinstance(base, SharedBase) else None
        self._sink = sink
        self._play = play
        self._after_update = after_update
        self._after_step = after_step
        self._after_publish = after_publish
        self._more = more or self._by_settings
        self._checkpoints = checkpoints
        self._origin = origin_of(config)
        self._holding = False
        self._ended: asyncio.Task[None] | None = None
        lent = base.lend()
        self.network = trainable(lent, config.training)
        self.updater = Updater(self.network, config, corrects=self._shared is None, base=lent)
        if self._shared is not None:
            self._shared.serve(self.network)

    async def run(self, resume_from: Path | None) -> None:
        """Train to the last step. However it ends, its thread has ended by then, and models that share the base are idle.

        Raises whatever `play` or the callbacks raised, `Diverged`, `NotPublished`, `WriteFailed`, and `RunError` for a
        checkpoint that cannot be continued from.
        """
        try:
            step = await self._begin(resume_from)
            while await self._more(step + 1):
                step += 1
                await self._make(step)
        finally:
            self._ended = asyncio.create_task(self._end(), name="end of the session")
            await asyncio.shield(self._ended)  # also where the session is cancelled twice

    async def _by_settings(self, step: int) -> bool:
        return step <= self._config.training.steps

    async def _begin(self, resume_from: Path | None) -> int:
        """The step that the session continues after; its checkpoint is published."""
        random.seed(self._config.training.seed)
        torch.manual_seed(self._config.training.seed)
        if resume_from is None:
            return 0
        await self._hold()
        step = await self._in_thread(lambda: state.read(resume_from, self.network, self.updater.optimizer))
        await self._publish(resume_from, step)
        return step

    async def _make(self, step: int) -> None:
        """One step."""
        samples = await self._ask(self._play(step), step, "rollouts")
        self._check(samples, step)
        skipped = why_skipped(samples, group_rows(self._config), kl=self._config.training.kl)
        await self._hold()
        seconds = self._config.limits.update_deadline_seconds
        try:
            async with asyncio.timeout(seconds or None):
                update = await self._in_thread(lambda: self.updater.update(samples, step, skipped))
        except TimeoutError as error:
            raise RunError(
                f"the update of step {step} took over {seconds:g} s (limits.update_deadline_seconds): raise it, or make the "
                "update smaller (skillos-engine plan). The steps before it are saved, and resume makes this one again"
            ) from error
        except NotFiniteUpdate as error:
            raise diverged_in_update(f"step {step}, update: {error}", self._config, self._checkpoints) from error
        await self._after_update(update)
        checkpoint = await self._in_thread(lambda: self._save(step))
        await self._publish(checkpoint, step)
        await self._ask(self._after_step(step, checkpoint), step, "after the update")

    def _check(self, samples: list[TrainingSample], step: int) -> None:
        """Raises `RunError` for samples that cannot be trained on, and `Diverged` where a number of them is not finite."""
        rows = group_rows(self._config) * self._config.training.groups
        if len(samples) != rows:
            raise RuntimeError(f"step {step} made {len(samples)} samples where it has {rows}")
        if wrong := wrong_ids(samples, int(self.network.get_input_embeddings().num_embeddings)):
            raise RunError(f"step {step}, rollouts: {wrong}. The models that answer are not the base that is trained")
        if stale := sum(is_stale(sample, step - 1) for sample in samples):
            raise RunError(
                f"step {step}, rollouts: {stale} of {len(samples)} samples were answered by another curator than that of "
                f"step {step - 1}, so the update cannot train on them"
            )
        if not all_finite(samples):
            what = f"step {step}, rollouts: a sample has a log-probability or a reward that is not finite"
            raise diverged_in_update(what, self._config, self._checkpoints)

    def _save(self, step: int) -> Path:
        """Write the checkpoint of `step`; its path. Raises `WriteFailed` and `UnfitCheckpoint`."""
        written = self._checkpoints / saved.PARTIAL / f"checkpoint-{step}"
        state.write(written, self.network, self.updater.optimizer, step)
        return saved.keep(written, self._checkpoints, step, self._origin)

    async def _publish(self, checkpoint: Path, step: int) -> None:
        """Publish the adapter of `checkpoint` and let the models answer again."""
        proof = await self._sink.publish(checkpoint, step)
        await self._after_publish(step, proof)
        self._release()

    async def _ask(self, asking: Awaitable[T], step: int, phase: str) -> T:
        """Await something in which the model answers. Raises `Diverged` where it answers with what is no number."""
        try:
            return await asking
        except (NotFinite, BaseExceptionGroup) as error:
            if (found := not_finite_in(error)) is None:
                raise
            newest = next((path for _, path in saved.newest_first(self._checkpoints)), None)
            raise diverged_in_answer(f"step {step}, {phase}", found, self._config, newest) from error

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """The result of `work`, done in a thread. Cancelled, it returns when the thread has ended."""
        working = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            self.updater.cancel()
            await _ended(working, END_SECONDS)
            raise

    async def _hold(self) -> None:
        if self._shared is not None:
            await self._shared.hold()
            self._holding = True

    def _release(self) -> None:
        if self._shared is not None and self._holding:
            self._holding = False
            self._shared.release()

    async def _end(self) -> None:
        """Let the models answer again, and wait until the requests that are in work have ended."""
        self._release()
        if self._shared is not None:
            await self._shared.idle()


async def _ended(working: asyncio.Future[Any], seconds: float) -> None:
    """Wait until `working` is done, however often the waiting task is cancelled, for at most `seconds`."""
    until = asyncio.get_running_loop().time() + seconds
    while not working.done() and (left := until - asyncio.get_running_loop().time()) > 0:
        try:
            await asyncio.wait({working}, timeout=left)
        except asyncio.CancelledError:
            continue  # the first one is raised when the thread has ended
    if working.done() and not working.cancelled():
        working.exception()  # it is of no use to anybody
