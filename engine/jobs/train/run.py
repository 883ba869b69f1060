"""A train run: GRPO steps, each saved, whose best edits are proposed for the run's repository.

    await TrainJob().run(JobContext(run, config, writer, control))

Each rollout edits its own fork; no rollout waits for a decision. After each step the edits of each group's best rollout that
still apply to the run's repository are put to review. In a full queue they supersede the oldest undecided edits. What a
person vetoed is quoted to the curator in the steps that follow.

A run that is resumed first makes the measurements that are missing in its log (`engine.jobs.train.measuring`). The
measurement before the first step needs the base model alone, so the trainer, whose libraries take seconds to import, is
loaded after it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.config import Config
from engine.core.events import (
    AdapterPublished,
    CheckpointSaved,
    GroupDrawn,
    Notice,
    Progress,
    RewardBreakdown,
    StepStarted,
    UpdateMade,
)
from engine.environments.base import TaskSource
from engine.evaluation.held_out import RepositoryScore, measure
from engine.jobs import loading
from engine.jobs.control import Control
from engine.jobs.job import JobContext
from engine.jobs.proposals import STOP_SECONDS, Proposals, net_edits, vetoes_of
from engine.jobs.train.measuring import Evaluate, Measuring
from engine.models.base import AdapterSink, Opened, Proof, SharedBase
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import Group, open_grouping
from engine.rollouts.reporting import LossWarnings, Pace, nothing_trained
from engine.rollouts.rollout import Rollout, collect
from engine.rollouts.summary import advantages, score_rollouts, summary
from engine.runs.errors import RunError
from engine.runs.measurements import missing
from engine.skills import SkillRepo
from engine.system.published import departures, sentence
from engine.training import checkpoints
from engine.training.samples import TrainingSample, step_samples, without_stale

if TYPE_CHECKING:
    from engine.training.trainer import GrpoSession, Update


class NothingTrained(RunError):
    """A run that ends without having changed its curator in any step."""


class StoppableSink:
    """An `AdapterSink` whose publications a stop ends: a server that is down may let one wait for long."""

    def __init__(self, sink: AdapterSink, control: Control) -> None:
        self._sink = sink
        self._control = control

    async def publish(self, adapter: Path, version: int) -> Proof:
        """See `AdapterSink`. Raises `StopRequested`."""
        return await self._control.interruptible(self._sink.publish(adapter, version))


class TrainJob:
    """The job of a train run. `measure` is the fixed evaluation of the curator."""

    def __init__(self, measure: Evaluate = measure) -> None:
        self._measure = measure

    async def run(self, context: JobContext) -> None:
        """Train from the newest checkpoint, or from the base, to the last step.

        Raises `StopRequested` and `NothingTrained`.
        """
        await TrainRun(context, self._measure).work()


class TrainRun:
    """The state of a train run between the callbacks of its GRPO session."""

    def __init__(self, job: JobContext, measure: Evaluate) -> None:
        self._job = job
        self._run = job.run
        self._config = job.config
        self._writer = job.writer
        self._control = job.control
        self._emit = LossWarnings(job.writer.emit)
        self._measuring = Measuring(job, self._emit, measure, self._report)
        self._context: RolloutContext  # from `_take` on
        self._held_out: RolloutContext  # the same over the held-out source
        self._groups: Callable[[int], list[Group]]  # of a step
        self._proposals: Proposals  # from `work` on
        self._rollouts: list[list[Rollout]] = []
        self._parts: list[list[RewardBreakdown]] = []
        self._began = self._played = time.monotonic()

    async def work(self) -> None:
        """Make the missing measurements, then run the session."""
        self._proposals = await asyncio.to_thread(self._open_proposals)
        newest = await asyncio.to_thread(checkpoints.latest, self._run.checkpoints)
        for why in await asyncio.to_thread(checkpoints.damaged, self._run.checkpoints):
            self._writer.emit(Notice("warning", why))
        evaluated = bool(self._config.training.evaluate_every)
        sources = await asyncio.to_thread(loading.sources_of, self._job, self._report, held_out=evaluated)
        async with loading.models_of(self._job, None, self._report) as opened:
            await asyncio.to_thread(self._take, opened, *sources)
            await self._train(newest)

    async def _train(self, newest: tuple[int, Path] | None) -> None:
        """Train from the checkpoint `newest`."""
        done = newest[0] if newest else 0
        self._control.running(f"from the checkpoint of step {done}" if newest else "")
        if found := departures(self._config):
            self._writer.emit(
                Notice("info", f"departures from the published settings: {'; '.join(map(sentence, found))}")
            )
        for warning in dict.fromkeys((*self._context.source.warnings, *self._held_out.source.warnings)):
            self._writer.emit(Notice("warning", warning))
        self._note_checkpoints(done)
        for step in missing(self._run, done):
            await self._measuring.saved(step, self._held_out, self._sink, self._after_publish)
        if done < self._config.training.steps:
            session = await asyncio.to_thread(self._open_session, asyncio.get_running_loop())
            await session.run(newest[1] if newest else None)
        self._writer.flush()
        if why := nothing_trained(self._run):
            raise NothingTrained(why)

    def _report(self, what: str) -> None:
        """Emit what is loaded now."""
        self._writer.emit(Progress("loading", what))

    def _take(self, opened: Opened, source: TaskSource, held_out: TaskSource) -> None:
        """Take the models, whose curator is untrained, and the task sources. Raises `NotTrainable`."""
        self._groups = draws(self._config, source)
        self._base, sink = opened.for_training()
        self._sink = StoppableSink(sink, self._control)
        self._report_use = opened.report_use
        self._context = RolloutContext.open(self._config, source, opened.models, self._control.holds)
        self._held_out = msgspec.structs.replace(self._context, source=held_out)
        self._repository_score = RepositoryScore(self._context)

    def _open_proposals(self) -> Proposals:
        return Proposals(
            self._run, self._writer, max_pending=self._config.review.max_pending, measure=self._score_repository
        )

    async def _score_repository(self, repo: SkillRepo) -> float | None:
        """The `Measure` of the gates.

        Edits are proposed between an update and its publication, while the session holds the models. Only the executor is
        asked here, and no update changes it, so it may answer.
        """
        held = self._base if isinstance(self._base, SharedBase) else None
        if held is not None:
            held.release()
        try:
            return await self._repository_score(repo)
        finally:
            if held is not None:
                await held.hold()

    def _open_session(self, loop: asyncio.AbstractEventLoop) -> GrpoSession:
        """The GRPO session over the curator's base model, which gets its adapter in place."""
        self._report("the trainer")
        from engine.training.trainer import GrpoSession

        return GrpoSession(
            self._config,
            self._base,
            self._sink,
            checkpoints=self._run.checkpoints,
            play=self._play,
            after_update=self._after_update,
            after_step=self._after_step,
            after_publish=self._after_publish,
            loop=loop,
        )

    def _note_checkpoints(self, done: int) -> None:
        """Log the checkpoints that were saved just before a crash."""
        saved = self._run.stream(kinds=["checkpoint_saved"])
        logged = {stored.event.step for stored in saved if isinstance(stored.event, CheckpointSaved)}
        for step, path in loading.saved(self._run.checkpoints).items():
            if step not in logged and step <= done:
                self._writer.emit(CheckpointSaved(step, str(path), checkpoints.size_of(path)))

    async def _play(self, step: int) -> list[TrainingSample]:
        """The rollouts of `step`, scored."""
        await self._control.gate()
        self._began = time.monotonic()
        groups = self._groups(step)
        tasks = [GroupDrawn(group.id, group.family, group.seed, [task.id for task in group.tasks]) for group in groups]
        vetoes = await asyncio.to_thread(vetoes_of, self._run, self._context)
        self._emit(StepStarted(step, tasks, vetoes))
        episodes = sum(len(group.tasks) for group in groups) * self._config.training.rollouts
        emit = Pace(self._emit, "rollouts", episodes)
        playing = collect(groups, step=step, context=self._context, vetoes=vetoes, emit=emit)
        self._rollouts = await self._control.interruptible(playing)
        self._parts = score_rollouts(self._rollouts, self._config.rewards, self._writer.emit)
        self._played = time.monotonic()
        self._writer.emit(Progress("update", f"of step {step}"))
        per_position = self._context.strategy.samples_per_position
        samples = step_samples(self._rollouts, self._parts, int(self._base.vocabulary.pad_token_id), per_position)
        samples, stale = without_stale(samples, step - 1)
        if stale:
            self._writer.emit(
                Notice(
                    "warning",
                    f"step {step}: {stale} of {len(samples)} completions were made by another adapter than that of step "
                    f"{step - 1}, so they are not trained on; events name the version of each",
                )
            )
        return samples

    async def _after_update(self, update: Update) -> None:
        """Emit the update and the step's summary, and propose the step's best edits.

        All is on the disk before the step's checkpoint is: a crash between the two repeats the step, and the queue refuses
        what it already holds. The other order would lose the proposals.
        """
        now = time.monotonic()
        self._report_use()
        samples = sum(
            len(position.completions) for row in self._rollouts for rollout in row for position in rollout.positions
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
        self._emit(
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
                await self._propose(best)
        self._writer.flush()

    async def _after_publish(self, step: int, proof: Proof) -> None:
        """Log that the curator that answers is the adapter of `step`, and how that was proved."""
        self._writer.emit(
            AdapterPublished(step, proof.how, proof.difference, proof.separation, proof.noise, proof.unmeasured)
        )
        if proof.unmeasured:
            why = f"that the adapter of step {step} is what answers is unmeasured: {proof.unmeasured}"
            self._writer.emit(Notice("info", f"{why}; it is compared again with the next step"))

    async def _after_step(self, step: int, checkpoint: Path) -> None:
        """Log that the checkpoint is in place, and measure the curator where that is due."""
        self._writer.emit(CheckpointSaved(step, str(checkpoint), checkpoints.size_of(checkpoint)))
        self._writer.flush()
        await self._measuring.where_due(step, self._held_out)

    async def _propose(self, best: Rollout) -> None:
        """Put what a group's best rollout leaves behind to review; what is held back is logged with its reason."""
        for position, edit in net_edits(best):
            await self._control.interruptible(self._proposals.propose(position, edit), grace=STOP_SECONDS)


def draws(config: Config, source: TaskSource) -> Callable[[int], list[Group]]:
    """The groups of a training step, as `[grouping]` makes them."""
    grouping = open_grouping(config.grouping)
    return lambda step: grouping.groups(source, config.training, step)


def best_rollout(rollouts: Sequence[Rollout], parts: Sequence[RewardBreakdown]) -> Rollout | None:
    """The measured rollout of highest r; the first among equals, None where none was measured."""
    scored = [
        (part.r, -rollout.index, rollout) for rollout, part in zip(rollouts, parts, strict=True) if part.r is not None
    ]
    return max(scored, key=lambda item: item[:2])[2] if scored else None
