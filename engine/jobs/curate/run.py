"""A curate run: tasks stream over one lasting repository, and every edit goes to the review queue.

    await curate(run, config, writer, control)

With the policy `ask` the next task waits for a person's decision, as long as `review.wait_seconds`; an edit that is not
decided by then stays in the queue. With `auto` an edit that passes the checks is approved by the policy, and says so. The
repository is read anew before each task, so what a person changes by hand counts too; its history begins with the run, also
where no edit is ever approved.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from engine.config import Config, ConfigError
from engine.core.events import (
    EpisodeEnded,
    EpisodeStarted,
    GroupDrawn,
    Notice,
    PositionId,
    Progress,
    RolloutScored,
    StateChanged,
    StepStarted,
)
from engine.core.outcomes import Outcome
from engine.core.seeds import seed_of
from engine.core.text import counted
from engine.environments.base import Task
from engine.jobs import loading
from engine.jobs.control import Control
from engine.jobs.proposals import Proposals, vetoes_of
from engine.review import decisions as reviews
from engine.rollouts.groups.families import Group
from engine.rollouts.reporting import LossWarnings, never_curated
from engine.rollouts.rewards import score
from engine.rollouts.rollout import Position, Rollout, play_position
from engine.rollouts.summary import summary
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.runs.writer import EventWriter
from engine.skills import History, SkillIndex, SkillRepo, SkillUsage
from engine.training import checkpoints

POLL_SECONDS = 0.2
POLICY = "policy auto"


class NeverCurated(RunError):
    """A run that ends without one decision of its curator."""


async def curate(run: Run, config: Config, writer: EventWriter, control: Control) -> None:
    """Play the tasks that are left of the stream. Raises `StopRequested` and `NeverCurated`."""
    work = await asyncio.to_thread(CurateRun, run, config, writer, control)
    await work.work()


class CurateRun:
    """A curate run's tasks over its repository."""

    def __init__(self, run: Run, config: Config, writer: EventWriter, control: Control) -> None:
        self._run = run
        self._config = config
        self._writer = writer
        self._emit = LossWarnings(writer.emit)
        self._control = control
        self._proposals = Proposals(run, writer)
        self._given_up: set[str] = set()
        self._skills: SkillIndex | None = None
        self._trials = SkillUsage()
        world, _ = loading.load_sources(config, self._report, held_out=False)
        opened = loading.open_models(config, _adapter(config.curate.adapter), self._report)
        self._context = loading.rollout_context(config, world, opened.models)

    async def work(self) -> None:
        """Every task that has not ended yet, in the stream's order. Raises `HistoryError` for an unusable repository."""
        await asyncio.to_thread(History.open, self._run.repo_path)
        self._writer.emit(StateChanged("running"))
        for remark in self._context.source.warnings:
            self._writer.emit(Notice("warning", remark))
        settings = self._config.curate
        tasks = self._context.source.stream(settings.seed, settings.tasks)
        group = Group(f"stream-{settings.seed}", 0, settings.seed, tasks[0].family, tasks)
        done = max((step.step for step in self._run.steps()), default=0)
        self._trials = usage_of(self._run, done)
        self._approve_left(done + 1)
        await self._decided()
        for number, task in enumerate(tasks[done:], start=done + 1):
            await self._control.gate()
            await self._one(number, task, group)
            await self._decided()
        self._writer.flush()
        if why := never_curated(self._run):
            raise NeverCurated(why)

    def _report(self, what: str) -> None:
        """Emit what is loaded now."""
        self._writer.emit(Progress("loading", what))

    async def _one(self, step: int, task: Task, group: Group) -> None:
        """Play one task, propose its edits, and tell how it went."""
        began = time.monotonic()
        vetoes = vetoes_of(self._run, self._context)
        self._writer.emit(StepStarted(step, [GroupDrawn(group.id, task.family, group.seed, [task.id])], vetoes))
        repo = SkillRepo.open(self._run.repo_path)
        if self._skills is None:
            self._skills = SkillIndex.open(repo)
        self._skills.sync(repo)
        seeds = (seed_of("play", group.seed, step), seed_of("curate", group.seed, step))
        position = await self._control.interruptible(
            play_position(
                task,
                PositionId(step),
                repo.fork(),
                self._skills,
                self._trials,
                seeds,
                context=self._context,
                vetoes=vetoes,
                emit=self._emit,
            )
        )
        for edit in position.edits:
            proposed = self._proposals.propose(position, edit.operation)
            if proposed is not None and self._config.review.policy == "auto":
                self._approve(proposed)
        self._ended(step, group, position, time.monotonic() - began)

    def _approve_left(self, step: int) -> None:
        """Approve, where the policy does, what the task of `step` proposed before the engine died in it."""
        if self._config.review.policy == "auto":
            for record in reviews.pending(self._run):
                if record.proposal.at.step == step:
                    self._approve(record.id)

    def _approve(self, edit: str) -> None:
        """Approve by the policy, unless a person was faster; what cannot be written now stays in the queue, and is told."""
        try:
            reviews.approve(self._run, edit, POLICY)
        except reviews.AlreadyDecided:
            return
        except reviews.ReviewError as error:
            self._writer.emit(Notice("warning", f"{edit} stays in the review queue: {error}"))

    def _ended(self, step: int, group: Group, position: Position, seconds: float) -> None:
        parts = score([position.measures], self._config.rewards, first_counts=True)
        measured = int(position.measured)
        self._writer.emit(RolloutScored(step, 0, 0, parts, measured, 1 - measured))
        rollout = Rollout(group, 0, [position])
        self._writer.emit(summary(step, [[rollout]], [[parts]], rollout_seconds=seconds, seconds=seconds))
        self._writer.flush()

    async def _decided(self) -> None:
        """Wait until nothing new is pending, for at most the policy's time; an edit given up on holds up nothing more."""
        waiting = self._undecided()
        if self._config.review.policy == "auto" or not waiting:
            return
        limit = self._config.review.wait_seconds
        self._writer.emit(StateChanged("running", f"waiting for a decision on {counted(len(waiting), 'edit')}"))
        try:
            await self._control.interruptible(asyncio.wait_for(self._nothing_pending(), limit))
            self._writer.emit(StateChanged("running"))
        except TimeoutError:
            self._given_up |= self._undecided()
            self._writer.emit(
                Notice("warning", f"nobody decided within {limit:g} s; the edits stay in the review queue")
            )
            self._writer.emit(StateChanged("running"))

    async def _nothing_pending(self) -> None:
        while self._undecided():
            await asyncio.sleep(POLL_SECONDS)

    def _undecided(self) -> set[str]:
        return {record.id for record in reviews.pending(self._run)} - self._given_up


def usage_of(run: Run, steps: int) -> SkillUsage:
    """What the log says of the skills that were in a prompt of the first `steps` tasks; a task played again counts once.

    Older logs name only the skills that were found.
    """
    shown: dict[PositionId, list[str]] = {}
    outcomes: dict[PositionId, Outcome] = {}
    for stored in run.events(kinds=["episode_started", "episode_ended"]):
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
            usage.record(shown[at], outcome)
    return usage


def _adapter(source: str) -> Path | None:
    """Where the curator's adapter lies: `source` itself, or the newest checkpoint of the run that it names."""
    if not source:
        return None
    path = Path(source).expanduser()
    newest = checkpoints.latest(path / "checkpoints")
    found = newest[1] if newest else path
    if not (found / "adapter_config.json").is_file():
        raise ConfigError(f"curate.adapter = {source!r} is neither a checkpoint nor a train run that has one")
    return found
