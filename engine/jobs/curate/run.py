"""A curate run: tasks stream over one lasting repository, and every edit goes to the review queue.

    await CurateJob().run(JobContext(run, config, writer, control))

The repository is read again before each task, so what a person changes by hand is used; its history begins with the run,
even if no edit is ever approved. `engine.jobs.curate.reviewing` proposes the edits and waits for the decisions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from engine.config import Config
from engine.core.errors import ConfigError
from engine.core.events import (
    EpisodeEnded,
    EpisodeStarted,
    GroupDrawn,
    Notice,
    PositionId,
    Progress,
    RolloutScored,
    StepStarted,
)
from engine.core.outcomes import Outcome
from engine.core.seeds import seed_of
from engine.curation.retrieval import SkillRetriever
from engine.environments.base import TaskSource
from engine.evaluation.held_out import RepositoryScore
from engine.jobs import loading
from engine.jobs.curate.reviewing import Reviewing
from engine.jobs.job import JobContext
from engine.jobs.prompts import noted
from engine.jobs.proposals import vetoes_of
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import Group
from engine.rollouts.position import Position, play_position
from engine.rollouts.reporting import LossWarnings, never_curated
from engine.rollouts.rewards import score
from engine.rollouts.rollout import Rollout
from engine.rollouts.summary import summary
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.skills import History, SkillIndex, SkillRepo, SkillUsage
from engine.training import checkpoints
from engine.training.origin import refusal
from engine.training.selection import Chosen, chosen


class NeverCurated(RunError):
    """A run that ends without one decision of its curator."""


class CurateJob:
    """The job of a curate run."""

    async def run(self, context: JobContext) -> None:
        """Play the tasks that are left of the stream. Raises `StopRequested` and `NeverCurated`."""
        await CurateRun(context).work()


class CurateRun:
    """A curate run's tasks over its repository."""

    def __init__(self, job: JobContext) -> None:
        self._run = job.run
        self._config = job.config
        self._writer = job.writer
        self._emit = LossWarnings(job.writer.emit)
        self._control = job.control
        self._done = job.done
        self._retriever: SkillRetriever | None = None
        self._job = job
        self._context: RolloutContext  # from `work` on
        self._reviewing: Reviewing

    async def work(self) -> None:
        """Load the models, then do every task that has not ended yet, in the stream's order. Raises `HistoryError` for an
        unusable repository."""
        source, _ = await asyncio.to_thread(loading.sources_of, self._job, self._report, held_out=False)
        adapter = await asyncio.to_thread(self._adapter)
        async with loading.models_of(self._job, adapter, self._report) as opened:
            self._context = RolloutContext.open(self._config, source, opened.models, self._control.holds)
            for event in await asyncio.to_thread(noted, self._run, self._config):
                self._writer.emit(event)
            self._report_use = opened.report_use
            self._reviewing = await asyncio.to_thread(Reviewing, self._job, measure=RepositoryScore(self._context))
            async with self._reviewing.deciding.beside():
                await self._play()

    async def _play(self) -> None:
        await asyncio.to_thread(History.open, self._run.repo_path, parents=False)
        self._control.running()
        for warning in self._context.source.warnings:
            self._writer.emit(Notice("warning", warning))
        groups = await asyncio.to_thread(draws, self._config, self._context.source)
        done = self._done
        usage = usage_of(self._run, done)
        await self._reviewing.wait()
        for step in range(done + 1, self._config.curate.tasks + 1):
            await self._control.gate()
            (group,) = groups(step)
            await self._one(step, group, usage)
            await self._reviewing.wait()
        await asyncio.to_thread(self._writer.flush)
        if why := never_curated(self._run):
            raise NeverCurated(why)

    def _adapter(self) -> Path | None:
        """The folder of the curator's adapter, which is logged; None for the untrained curator. Raises `ConfigError`."""
        if (found := curator_of(self._config)) is None:
            return None
        self._writer.emit(Notice("info", found.sentence))
        return found.path

    def _report(self, what: str) -> None:
        """Emit what is loaded now."""
        self._writer.emit(Progress("loading", what))

    async def _one(self, step: int, group: Group, usage: SkillUsage) -> None:
        """Play the task of a step, propose its edits, and emit its summary."""
        began = time.monotonic()
        (task,) = group.tasks
        vetoes = await asyncio.to_thread(vetoes_of, self._run, self._context)
        self._emit(StepStarted(step, [GroupDrawn(group.id, task.family, group.seed, [task.id])], vetoes))
        repo, retriever = await asyncio.to_thread(self._open_repo, usage)
        at = PositionId(step)
        seed = seed_of("curate", group.seed, step)
        strategy = self._context.open_strategy(at, retriever, vetoes=vetoes, seed=seed, emit=self._emit)
        play_seed = seed_of("play", group.seed, step)
        position = await self._control.interruptible(
            play_position(task, at, repo.fork(), strategy, play_seed, context=self._context, emit=self._emit)
        )
        await self._reviewing.propose(position)
        self._ended(step, group, position, time.monotonic() - began)
        await asyncio.to_thread(self._writer.flush)

    def _open_repo(self, usage: SkillUsage) -> tuple[SkillRepo, SkillRetriever]:
        """The repository as it is now, and the run's retriever over it."""
        repo = SkillRepo.open(self._run.repo_path)
        if self._retriever is None:
            weight = self._config.executor.reliability_weight
            self._retriever = SkillRetriever(SkillIndex.open(repo), usage, weight)
        self._retriever.index.sync(repo)
        return repo, self._retriever

    def _ended(self, step: int, group: Group, position: Position, seconds: float) -> None:
        self._report_use()
        parts = score([position.metrics], self._config.rewards, first_counts=True)
        measured = int(position.measured)
        self._writer.emit(RolloutScored(step, 0, 0, parts, measured, 1 - measured))
        rollout = Rollout(group, 0, [position])
        self._emit(summary(step, [[rollout]], [[parts]], rollout_seconds=seconds, seconds=seconds))


def draws(config: Config, source: TaskSource) -> Callable[[int], list[Group]]:
    """The group of each task of the stream: the task alone."""
    seed = config.curate.seed
    tasks = source.stream(seed, config.curate.tasks)
    return lambda step: [Group(f"stream-{seed}", 0, seed, task.family, [task]) for task in tasks[step - 1 : step]]


def usage_of(run: Run, steps: int) -> SkillUsage:
    """The outcomes of the skills that were in a prompt of the first `steps` tasks, by the log; a task played again counts
    once.

    Older logs name only the skills that were found.
    """
    shown: dict[PositionId, list[str]] = {}
    outcomes: dict[PositionId, Outcome] = {}
    for stored in run.stream(kinds=["episode_started", "episode_ended"]):
        match stored.event:
            case EpisodeStarted(at=at, skills=skills):
                shown[at] = [skill.name for skill in skills]
            case EpisodeEnded(at=at, outcome=outcome, shown=names):
                outcomes[at] = outcome
                if names is not None:
                    shown[at] = names
    usage = SkillUsage()
    for at, outcome in outcomes.items():
        if at.step <= steps and not at.held_out:
            usage.record(shown.get(at, []), outcome)
    return usage


def curator_of(config: Config) -> Chosen | None:
    """The checkpoint, or the adapter, that curates; None for the untrained curator. Raises `ConfigError` for one that is
    damaged or does not fit the base."""
    if not config.curate.adapter:
        return None
    found = chosen(config.curate.adapter)
    if fault := checkpoints.fault_of(found.path) or refusal(found.path, config):
        raise ConfigError(f"curate.adapter = {config.curate.adapter!r}: {fault}")
    return found


def adapter_of(config: Config) -> Path | None:
    """The folder of the curator's adapter. Errors are those of `curator_of`."""
    found = curator_of(config)
    return None if found is None else found.path
