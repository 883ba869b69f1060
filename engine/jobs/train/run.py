"""A train run: GRPO steps, each saved, whose best edits are proposed for the run's repository.

    await train(run, config, writer, control, measure=measure)

Rollouts edit forks of their own and wait for nobody. After each step the edits of each group's best rollout that still
apply to the run's repository are put to review; in a full queue they take the place of the oldest that nobody decided on.
What a person vetoed is quoted to the curator in the steps that follow.

A run that is resumed first makes the measurements that are missing in its log (`engine.runs.measurements`), each with the
checkpoint of its step. The measurement before the first step needs the base model alone, so the trainer, whose libraries
take seconds to import, is loaded after it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine.config import Config
from engine.core.events import (
    CheckpointSaved,
    GroupDrawn,
    HeldOutMeasured,
    Notice,
    Progress,
    RewardBreakdown,
    Sink,
    StateChanged,
    StepStarted,
    UpdateMade,
)
from engine.jobs import loading
from engine.jobs.control import Control
from engine.jobs.proposals import Proposals, net_edits, vetoes_of
from engine.models.base import NotFinite, not_finite_in
from engine.rollouts.groups.families import draw_groups
from engine.rollouts.groups.families_kind import families_settings
from engine.rollouts.reporting import LossWarnings, Pace, nothing_trained
from engine.rollouts.rollout import Rollout, RolloutContext, collect
from engine.rollouts.summary import advantages, score_rollouts, summary
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.runs.measurements import due, measurements, missing
from engine.runs.writer import EventWriter
from engine.training import checkpoints
from engine.training.diverged import diverged_in_answer
from engine.training.samples import TrainingSample, step_samples

if TYPE_CHECKING:
    from engine.training.trainer import GrpoSession, Update

Measure = Callable[[RolloutContext, int, Sink], Coroutine[Any, Any, HeldOutMeasured]]
"""The fixed evaluation after so many steps, its episodes emitted; it stands a floor above training and is handed in."""


class NothingTrained(RunError):
    """A run that ends without having changed its curator in any step."""


async def train(run: Run, config: Config, writer: EventWriter, control: Control, *, measure: Measure) -> None:
    """Train from the newest checkpoint, or from the base, to the last step. Raises `StopRequested` and `NothingTrained`."""
    await TrainRun(run, config, writer, control, measure).work()


class TrainRun:
    """The state of a train run between the callbacks of its GRPO session."""

    def __init__(self, run: Run, config: Config, writer: EventWriter, control: Control, measure: Measure) -> None:
        self._run = run
        self._config = config
        self._writer = writer
        self._emit = LossWarnings(writer.emit)
        self._control = control
        self._measure = measure
        self._context: RolloutContext  # from `_load` on
        self._proposals = Proposals(run, writer, max_pending=config.review.max_pending)
        self._rollouts: list[list[Rollout]] = []
        self._parts: list[list[RewardBreakdown]] = []
        self._began = self._played = time.monotonic()

    async def work(self) -> None:
        """Make the missing measurements, then run the session."""
        newest = await asyncio.to_thread(checkpoints.latest, self._run.checkpoints)
        for why in await asyncio.to_thread(checkpoints.damaged, self._run.checkpoints):
            self._writer.emit(Notice("warning", why))
        done = newest[0] if newest else 0
        await asyncio.to_thread(self._load)
        self._writer.emit(StateChanged("running", f"from the checkpoint of step {done}" if newest else ""))
        for remark in dict.fromkeys((*self._context.source.warnings, *self._held_out.warnings)):
            self._writer.emit(Notice("warning", remark))
        self._note_checkpoints(done)
        for step in missing(self._run, done):
            await self._evaluate_saved(step)
        if done < self._config.training.steps:
            session = await asyncio.to_thread(self._open_session, asyncio.get_running_loop())
            await session.run(newest[1] if newest else None)
        self._writer.flush()
        if why := nothing_trained(self._run):
            raise NothingTrained(why)

    def _report(self, what: str) -> None:
        """Emit what is loaded now."""
        self._writer.emit(Progress("loading", what))

    def _load(self) -> None:
        """What plays: the worlds, and the models; the curator is untrained. Raises `NotTrainable`."""
        evaluated = bool(self._config.training.evaluate_every)
        world, self._held_out = loading.load_sources(self._config, self._report, held_out=evaluated)
        opened = loading.open_models(self._config, None, self._report)
        self._policy, self._sink = opened.for_training()
        self._context = loading.rollout_context(self._config, world, opened.models)

    def _open_session(self, loop: asyncio.AbstractEventLoop) -> GrpoSession:
        """The GRPO session over the curator's base model, which gets its adapter in place."""
        self._report("the trainer")
        from engine.training.trainer import GrpoSession

        return GrpoSession(
            self._config,
            self._policy,
            self._sink,
            checkpoints=self._run.checkpoints,
            play=self._play,
            after_update=self._after_update,
            after_step=self._after_step,
            loop=loop,
        )

    def _note_checkpoints(self, done: int) -> None:
        """Log the checkpoints that were saved just before a crash."""
        logged = {stored.event.step for stored in self._run.events(kinds=["checkpoint_saved"])}  # type: ignore[union-attr]
        for step, path in loading.saved(self._run.checkpoints).items():
            if step not in logged and step <= done:
                self._writer.emit(CheckpointSaved(step, str(path), checkpoints.size_of(path)))

    async def _play(self, step: int) -> list[TrainingSample]:
        """The rollouts of `step`, scored."""
        await self._control.gate()
        self._began = time.monotonic()
        grouping = families_settings(self._config.grouping)
        groups = draw_groups(self._context.source, self._config.training, grouping, step)
        tasks = [GroupDrawn(group.id, group.family, group.seed, [task.id for task in group.tasks]) for group in groups]
        vetoes = vetoes_of(self._run, self._context)
        self._writer.emit(StepStarted(step, tasks, vetoes))
        episodes = sum(len(group.tasks) for group in groups) * self._config.training.rollouts
        emit = Pace(self._emit, "rollouts", episodes)
        playing = collect(groups, step=step, context=self._context, vetoes=vetoes, emit=emit)
        self._rollouts = await self._control.interruptible(playing)
        self._parts = score_rollouts(self._rollouts, self._config.rewards, self._writer.emit)
        self._played = time.monotonic()
        self._writer.emit(Progress("update", f"of step {step}"))
        return step_samples(self._rollouts, self._parts, int(self._policy.vocabulary.pad_token_id))

    async def _after_update(self, update: Update) -> None:
        """Tell what the update did and how the step went, and propose the step's best edits.

        All is on the disk before the step's checkpoint is: a crash between repeats the step, and what is proposed again
        finds itself in the queue, where the other order would lose the proposals.
        """
        now = time.monotonic()
        samples = sum(
            position.completion is not None
            for row in self._rollouts
            for rollout in row
            for position in rollout.positions
        )
        self._emit(
            UpdateMade(
                step=update.step,
                advantages=advantages(self._parts),
                samples=samples,
                loss=update.loss,
                grad_norm=update.grad_norm,
                entropy=update.entropy if samples else None,
                kl=update.kl if samples else None,
                learning_rate=update.learning_rate,
                seconds=now - self._played,
                skipped=update.skipped,
            )
        )
        self._writer.emit(
            summary(
                update.step,
                self._rollouts,
                self._parts,
                rollout_seconds=self._played - self._began,
                seconds=now - self._began,
            )
        )
        for row, parts in zip(self._rollouts, self._parts, strict=True):
            if (best := best_rollout(row, parts)) is not None:
                self._propose(best)
        self._writer.flush()

    async def _after_step(self, step: int, checkpoint: Path) -> None:
        """Log that the checkpoint is in place, and measure the curator where that is due."""
        self._writer.emit(CheckpointSaved(step, str(checkpoint), checkpoints.size_of(checkpoint)))
        self._writer.flush()
        if due(self._config.training, step) and step not in measurements(self._run):
            await self._evaluate(step)

    async def _evaluate_saved(self, step: int) -> None:
        """Make a measurement that was missed, with the checkpoint of its step.

        Where that is gone or damaged, an unmeasured result is logged, and a warning gives the reason.
        """
        if step == 0:
            await self._evaluate_or_diverge(0, None)
            return
        checkpoint = loading.saved(self._run.checkpoints).get(step)
        fault = await asyncio.to_thread(checkpoints.fault_of, checkpoint) if checkpoint else "its checkpoint is gone"
        if checkpoint is None or fault:
            training = self._config.training
            self._writer.emit(Notice("warning", f"the curator after step {step} cannot be measured any more: {fault}"))
            positions = training.evaluate_groups * training.tasks
            self._writer.emit(HeldOutMeasured(step, training.evaluate_groups, None, None, positions, 0.0))
            return
        self._report(f"the adapter {checkpoint.name}")
        await self._sink.publish(checkpoint, step)
        await self._evaluate_or_diverge(step, checkpoint)

    async def _evaluate_or_diverge(self, step: int, checkpoint: Path | None) -> None:
        """Measure outside a session, where nothing else gives advice on an answer that is not finite."""
        try:
            await self._evaluate(step)
        except (NotFinite, BaseExceptionGroup) as error:
            if (found := not_finite_in(error)) is None:
                raise
            raise diverged_in_answer(f"held-out groups after step {step}", found, self._config, checkpoint) from error

    async def _evaluate(self, step: int) -> None:
        """Measure the curator that answers, after `step` updates, on the held-out groups. Raises what the models raise."""
        await self._control.gate()
        groups = self._config.training.evaluate_groups
        context = msgspec.structs.replace(self._context, source=self._held_out)
        self._writer.emit(StateChanged("running", f"measuring on {groups} held-out groups"))
        self._writer.emit(await self._control.interruptible(self._measure(context, step, self._emit)))
        self._writer.emit(StateChanged("running"))
        self._writer.flush()

    def _propose(self, best: Rollout) -> None:
        """Put what a group's best rollout leaves behind to review; what is held back is logged with its reason."""
        for position, insert in net_edits(best):
            self._proposals.propose(position, insert)


def best_rollout(rollouts: Sequence[Rollout], parts: Sequence[RewardBreakdown]) -> Rollout | None:
    """The measured rollout of highest r; the first among equals, None where none was measured."""
    scored = [
        (part.r, -rollout.index, rollout) for rollout, part in zip(rollouts, parts, strict=True) if part.r is not None
    ]
    return max(scored, key=lambda item: item[:2])[2] if scored else None
