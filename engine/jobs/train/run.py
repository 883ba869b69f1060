"""A train run: GRPO steps, each saved, whose best edits are proposed for the run's repository.

    await TrainJob().run(JobContext(run, config, writer, control))

Each rollout edits its own fork, of an empty repository or of what was approved; no rollout waits for a decision. Of what the
rollouts of a step leave behind, the best `review.per_step` edits that apply to the run's repository are put to review
(`engine.review.worth`); the others are withheld and can be asked for. In a full queue they supersede the oldest undecided
edits. The policy decides beside the steps. What a person vetoed is quoted to the curator in the steps that follow.

A run that is resumed first makes the measurements that are missing in its log (`engine.jobs.train.measuring`). The
measurement before the first step needs the base model alone, so the trainer, whose libraries take seconds to import, is
loaded after it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.config import Config
from engine.core.events import (
    AdapterPublished,
    CheckpointSaved,
    Notice,
    Progress,
    UpdateMade,
)
from engine.environments.base import TaskSource
from engine.environments.registry import environment_kind
from engine.evaluation.held_out import RepositoryScore, measure
from engine.jobs import loading
from engine.jobs.deciding import Deciding
from engine.jobs.job import JobContext
from engine.jobs.prompts import noted
from engine.jobs.proposals import STOP_SECONDS, Proposals, candidates
from engine.jobs.train.measuring import Evaluate, Measuring
from engine.jobs.train.playing import Playing
from engine.jobs.train.publishing import BoundedSink
from engine.jobs.train.watching import AlarmWatch
from engine.models.base import Opened, Proof, SharedBase
from engine.rollouts.contents import contents
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import Group, open_grouping
from engine.rollouts.reporting import LossWarnings, nothing_trained
from engine.rollouts.summary import advantages, summary
from engine.runs.errors import RunError
from engine.runs.measurements import missing
from engine.skills import SkillRepo
from engine.system.published import departures, sentence
from engine.training import checkpoints
from engine.training.origin import refusal
from engine.training.retention import Retention
from engine.training.samples import TrainingSample

if TYPE_CHECKING:
    from engine.training.trainer import GrpoSession, Update


class NothingTrained(RunError):
    """A run that ends without having changed its curator in any step."""


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
        self._watch = AlarmWatch(job)
        self._deciding = Deciding(job)
        self._retention = Retention(job.run, job.config.training, job.writer.emit, job.writer.flush)
        self._context: RolloutContext  # from `_take` on
        self._held_out: RolloutContext  # the same over the held-out source
        self._playing: Playing
        self._proposals: Proposals  # from `work` on

    async def work(self) -> None:
        """Make the missing measurements, then run the session."""
        self._proposals = await asyncio.to_thread(self._open_proposals)
        await asyncio.to_thread(self._retention.recover)
        newest = await asyncio.to_thread(checkpoints.latest, self._run.checkpoints)
        if newest and (why := refusal(newest[1], self._config, trains=True)):
            raise RunError(why)
        for why in await asyncio.to_thread(checkpoints.damaged, self._run.checkpoints):
            self._writer.emit(Notice("warning", why))
        evaluated = bool(self._config.training.evaluate_every)
        sources = await asyncio.to_thread(loading.sources_of, self._job, self._report, held_out=evaluated)
        async with loading.models_of(self._job, None, self._report) as opened:
            await asyncio.to_thread(self._take, opened, *sources)
            for event in await asyncio.to_thread(noted, self._run, self._config):
                self._writer.emit(event)
            async with self._deciding.beside():
                await self._train(newest)

    async def _train(self, newest: tuple[int, Path] | None) -> None:
        """Train from the checkpoint `newest`."""
        done = newest[0] if newest else 0
        self._control.running(f"resumed from the checkpoint of step {done}" if newest else "")
        if found := departures(self._config):
            self._writer.emit(
                Notice("info", f"departures from the published settings: {'; '.join(map(sentence, found))}")
            )
        for warning in dict.fromkeys((*self._context.source.warnings, *self._held_out.source.warnings)):
            self._writer.emit(Notice("warning", warning))
        self._note_checkpoints(done)
        for step in missing(self._run, done):
            await self._measuring.saved(step, self._held_out, self._sink, self._after_publish)
        await asyncio.to_thread(self._retention.apply)
        await self._watch.check(done)
        self._control.unit = done
        if done < self._job.now.training.steps:
            session = await asyncio.to_thread(self._open_session)
            await session.run(newest[1] if newest else None)
        await asyncio.to_thread(self._writer.flush)
        if why := nothing_trained(self._run):
            raise NothingTrained(why)

    def _report(self, what: str) -> None:
        """Emit what is loaded now."""
        self._writer.emit(Progress("loading", what))

    def _take(self, opened: Opened, source: TaskSource, held_out: TaskSource) -> None:
        """Take the models, whose curator is untrained, and the task sources. Raises `NotTrainable`."""
        groups = draws(self._config, source)
        self._base, sink = opened.for_training()
        self._sink = BoundedSink(sink, self._control, self._config.limits.publish_deadline_seconds)
        self._report_use = opened.report_use
        self._context = RolloutContext.open(self._config, source, opened.models, self._control.holds)
        self._held_out = msgspec.structs.replace(self._context, source=held_out)
        self._repository_score = RepositoryScore(self._context)
        padding = int(self._base.vocabulary.pad_token_id)
        self._playing = Playing(self._job, self._emit, self._context, groups, padding)

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
        seconds = self._config.limits.measure_deadline_seconds
        try:
            async with self._control.holds.phase("the measurement of a repository", seconds):
                return await self._repository_score(repo)
        finally:
            if held is not None:
                await held.hold()

    def _open_session(self) -> GrpoSession:
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
            more=self._more,
        )

    def _note_checkpoints(self, done: int) -> None:
        """Log the checkpoints that were saved just before a crash."""
        saved = self._run.stream(kinds=["checkpoint_saved"])
        logged = {stored.event.step for stored in saved if isinstance(stored.event, CheckpointSaved)}
        for step, path in loading.saved(self._run.checkpoints).items():
            if step not in logged and step <= done:
                self._writer.emit(CheckpointSaved(step, str(path), checkpoints.size_of(path)))

    async def _more(self, step: int) -> bool:
        """Whether `step` is to be made; a paused run waits here. Raises `StopRequested`."""
        await self._control.gate()
        if step > self._job.now.training.steps:
            self._control.last = True
            return False
        self._control.unit = step
        return True

    async def _play(self, step: int) -> list[TrainingSample]:
        """The rollouts of `step`, scored."""
        return await self._playing.play(step)

    async def _after_update(self, update: Update) -> None:
        """Emit the update and the step's summary, and propose the step's best edits.

        All is on the disk before the step's checkpoint is: a crash between the two repeats the step, and the queue refuses
        what it already holds. The other order would lose the proposals.
        """
        now = time.monotonic()
        self._report_use()
        samples = sum(
            len(position.completions)
            for row in self._playing.rollouts
            for rollout in row
            for position in rollout.positions
        )
        self._emit(
            UpdateMade(
                advantages=advantages(self._playing.parts),
                samples=samples,
                seconds=now - self._playing.played,
                **msgspec.structs.asdict(update),
            )
        )
        self._emit(
            summary(
                update.step,
                self._playing.rollouts,
                self._playing.parts,
                rollout_seconds=self._playing.played - self._playing.began,
                seconds=now - self._playing.began,
                seconds_by={
                    "rollouts": self._playing.played - self._playing.began,
                    "update": now - self._playing.played,
                },
                contents=contents(
                    self._playing.rollouts,
                    environment_kind(self._config.environment),
                    self._config.alarms.least_words,
                ),
            )
        )
        await self._propose(update.step)
        await asyncio.to_thread(self._writer.flush)

    async def _after_publish(self, step: int, proof: Proof) -> None:
        """Log that the curator that answers is that of `step`, and how that was proved."""
        self._writer.emit(
            AdapterPublished(step, proof.how, proof.difference, proof.separation, proof.noise, proof.unmeasured)
        )
        if proof.unmeasured:
            why = f"that the curator of step {step} is what answers is unmeasured: {proof.unmeasured}"
            self._writer.emit(Notice("info", f"{why}; it is compared again with the next step"))

    async def _after_step(self, step: int, checkpoint: Path) -> None:
        """Log that the checkpoint is in place, measure the curator where that is due, remove what need not be kept, and
        check the alarms."""
        self._writer.emit(CheckpointSaved(step, str(checkpoint), checkpoints.size_of(checkpoint)))
        await asyncio.to_thread(self._writer.flush)
        await self._measuring.where_due(step, self._held_out)
        await asyncio.to_thread(self._retention.apply)
        await self._watch.check(step)

    async def _propose(self, step: int) -> None:
        """Put the best of what the step's rollouts leave behind to review; what is held back is logged with its reason."""
        playing = self._playing
        edits = candidates(playing.rollouts, playing.parts, playing.start.texts)
        choosing = self._proposals.choose(step, edits, self._job.now.review.per_step)
        await self._control.interruptible(choosing, grace=STOP_SECONDS)
        await self._deciding.decide()


def draws(config: Config, source: TaskSource) -> Callable[[int], list[Group]]:
    """The groups of a training step, as `[grouping]` makes them."""
    grouping = open_grouping(config.grouping)
    return lambda step: grouping.groups(source, config.training, step)
