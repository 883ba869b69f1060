"""The rollouts of a train run's steps: drawn, played, scored, and made into samples.

playing = Playing(job, emit, context, groups, padding)
samples = await playing.play(3)
playing.rollouts, playing.parts, playing.start         # of that step, until the next one
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from engine.core.events import GroupDrawn, Notice, Progress, RewardBreakdown, Sink, StepStarted
from engine.jobs.job import JobContext
from engine.jobs.proposals import net_edits, vetoes_of
from engine.review.words import KINDS, Said, Words
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import Group
from engine.rollouts.reporting import Pace
from engine.rollouts.rollout import Rollout, collect
from engine.rollouts.start import EMPTY, Start
from engine.rollouts.summary import Scoring, score_rollouts
from engine.skills import History, SkillRepo
from engine.training.samples import TrainingSample, step_samples, without_stale


class Playing:
    """Plays the steps of one run. `groups(step)` draws a step's groups; `padding` is the curator's padding token.

    `began` and `played` are when the newest step and its update began, by the monotonic clock.
    """

    def __init__(
        self,
        job: JobContext,
        emit: Sink,
        context: RolloutContext,
        groups: Callable[[int], list[Group]],
        padding: int,
    ) -> None:
        self.rollouts: list[list[Rollout]] = []
        self.parts: list[list[RewardBreakdown]] = []
        self.start = EMPTY
        self.began = self.played = time.monotonic()
        self._job = job
        self._emit = emit
        self._context = context
        self._groups = groups
        self._padding = padding
        self._words = Words()
        self._read = 0
        """The event up to which `_words` have the log."""
        self._logged = {EMPTY.digest}
        """The starts whose texts this engine has logged."""

    async def play(self, step: int) -> list[TrainingSample]:
        """Play and score the rollouts of `step`. Raises `StopRequested`."""
        self.began = time.monotonic()
        config, writer = self._job.config, self._job.writer
        groups = self._groups(step)
        vetoes = await asyncio.to_thread(vetoes_of, self._job.run, self._context)
        self.start = await asyncio.to_thread(self._start)
        tasks = [GroupDrawn(group.id, group.family, group.seed, [task.id for task in group.tasks]) for group in groups]
        texts = None if self.start.digest in self._logged else dict(self.start.texts)
        self._emit(StepStarted(step, tasks, vetoes, self.start.digest, texts, self.start.commit))
        self._logged.add(self.start.digest)
        episodes = sum(len(group.tasks) for group in groups) * config.training.rollouts
        emit = Pace(self._emit, "rollouts", episodes)
        playing = collect(groups, step=step, context=self._context, vetoes=vetoes, emit=emit, start=self.start.repo)
        seconds = config.limits.rollout_deadline_seconds
        async with self._job.control.holds.phase(f"the rollouts of step {step}", seconds):
            self.rollouts = await self._job.control.interruptible(playing)
        scoring = await asyncio.to_thread(self._scoring)
        self.parts = score_rollouts(self.rollouts, config.rewards, writer.emit, scoring)
        self.played = time.monotonic()
        writer.emit(Progress("update", f"of step {step}"))
        return self._samples(step)

    def _start(self) -> Start:
        """The repository that the rollouts start from. Raises `RepoError`, `HistoryError`."""
        if self._job.config.training.start_from == "empty":
            return EMPTY
        path = self._job.run.repo_path
        history = History.existing(path)
        return Start.of(SkillRepo.open(path), history.head if history is not None else "")

    def _scoring(self) -> Scoring:
        """How the step is scored, by the decisions that the log has now, after all events of its rollouts."""
        run = self._job.run
        self._job.writer.flush()
        until = run.last_id()
        for stored in run.stream(after=self._read, kinds=KINDS, until=until):
            self._words.take(stored)
        self._read = until
        said, start = self._words.said(), self.start
        first_counts = self._job.config.training.start_from == "approved"
        return Scoring(first_counts, lambda rollout: human_reward(rollout, said, start), until)

    def _samples(self, step: int) -> list[TrainingSample]:
        """The step's samples; those of another curator than the present one train nothing, which a notice says."""
        per_position = self._context.strategy.samples_per_position
        samples, stale = without_stale(step_samples(self.rollouts, self.parts, self._padding, per_position), step - 1)
        if stale:
            self._job.writer.emit(
                Notice(
                    "warning",
                    f"step {step}: {stale} of {len(samples)} completions were made by another curator than that of step "
                    f"{step - 1}, so they are not trained on; events name the version of each",
                )
            )
        return samples


def human_reward(rollout: Rollout, said: Said, start: Start = EMPTY) -> float | None:
    """r_human of a rollout: the mean word on what it leaves behind, which is what people review.

    An edit that a later position replaced was never put to review, so it has no part in it.
    """
    return said.mean((edit.name, edit.after) for _, edit in net_edits(rollout, start.texts))
