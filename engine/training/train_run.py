"""A train run: GRPO steps, each saved, whose best edits are proposed for the run's repository.

    await train(run, config, writer, control)

Rollouts edit forks of their own and wait for nobody. After each step the edits of each group's best rollout that still
apply to the run's repository are put to review; in a full queue they take the place of the oldest that nobody decided on.
What a person vetoed is quoted to the curator in the steps that follow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine.agents.prompting import Prompts
from engine.config import Config
from engine.environments.worlds import open_held_out, open_world
from engine.models.local import load_base, load_tokenizer
from engine.runs.events import (
    CheckpointSaved,
    GroupDrawn,
    HeldOutMeasured,
    Notice,
    Parts,
    StateChanged,
    StepStarted,
    UpdateMade,
)
from engine.runs.store import Run
from engine.runs.writer import EventWriter
from engine.training import checkpoints
from engine.training.control import Control
from engine.training.groups import draw_groups
from engine.training.proposals import Proposals, net_edits, vetoes_of
from engine.training.rollout import Agents, Rollout, collect
from engine.training.samples import TrainingSample, step_samples
from engine.training.step import advantages, score_rollouts, summary
from engine.training.trainer import GrpoSession, Update

Measure = Callable[[Agents, int], Coroutine[Any, Any, HeldOutMeasured]]
"""The fixed evaluation after so many steps; it stands a floor above training and is handed in."""


async def train(run: Run, config: Config, writer: EventWriter, control: Control, *, measure: Measure) -> None:
    """Train from the newest checkpoint, or from the base, to the last step. Raises `StopRequested`."""
    loop = asyncio.get_running_loop()
    work = await asyncio.to_thread(TrainRun, run, config, writer, control, measure, loop)
    await work.work()


class TrainRun:
    """The state of a train run between the callbacks of its GRPO session."""

    def __init__(
        self,
        run: Run,
        config: Config,
        writer: EventWriter,
        control: Control,
        measure: Measure,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._run = run
        self._config = config
        self._writer = writer
        self._control = control
        self._measure = measure
        world = open_world(config.environment)
        held_out = open_held_out(config.environment, world) if config.training.evaluate_every else world
        tokenizer = load_tokenizer(config.model)
        self._padding = int(tokenizer.pad_token_id)
        self._session = GrpoSession(
            config,
            load_base(config.model),
            tokenizer,
            checkpoints=run.checkpoints,
            play=self._play,
            after_update=self._after_update,
            after_step=self._after_step,
            loop=loop,
        )
        self._agents = Agents(
            world,
            self._session.model,
            Prompts.load(config.executor.prompts),
            Prompts.load(config.curator.prompts),
            config,
        )
        self._examined = msgspec.structs.replace(self._agents, world=held_out)
        self._proposals = Proposals(run, writer, max_pending=config.review.max_pending)
        self._rollouts: list[list[Rollout]] = []
        self._parts: list[list[Parts]] = []
        self._began = self._played = time.monotonic()

    async def work(self) -> None:
        """Run the session."""
        newest = checkpoints.latest(self._run.checkpoints)
        for why in checkpoints.damaged(self._run.checkpoints):
            self._writer.emit(Notice("warning", why))
        self._writer.emit(StateChanged("running", f"from the checkpoint of step {newest[0]}" if newest else ""))
        for remark in dict.fromkeys((*self._agents.world.remarks, *self._examined.world.remarks)):
            self._writer.emit(Notice("warning", remark))
        await self._session.run(newest[1] if newest else None)

    async def _play(self, step: int) -> list[TrainingSample]:
        """The rollouts of `step`, scored."""
        await self._control.gate()
        await self._evaluate(step - 1)
        self._began = time.monotonic()
        groups = draw_groups(self._agents.world, self._config.training, step)
        tasks = [GroupDrawn(group.id, group.family, group.seed, [task.id for task in group.tasks]) for group in groups]
        self._writer.emit(StepStarted(step, tasks))
        playing = collect(
            groups, step=step, agents=self._agents, vetoes=vetoes_of(self._run, self._agents), emit=self._writer.emit
        )
        self._rollouts = await self._control.interruptible(playing)
        self._parts = score_rollouts(self._rollouts, self._config.rewards, self._writer.emit)
        self._played = time.monotonic()
        return step_samples(self._rollouts, self._parts, self._padding)

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
        self._writer.emit(
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
        """Tell that the checkpoint is in place."""
        self._writer.emit(CheckpointSaved(step, str(checkpoint), checkpoints.size_of(checkpoint)))
        self._writer.flush()
        if step == self._config.training.steps:
            await self._evaluate(step)

    async def _evaluate(self, step: int) -> None:
        """Measure the curator on the held-out groups where `step` is due: every so often, and at the end."""
        training = self._config.training
        if not training.evaluate_every or (step % training.evaluate_every and step != training.steps):
            return
        done = self._run.events(kinds=["held_out_measured"])
        if any(isinstance(stored.event, HeldOutMeasured) and stored.event.step == step for stored in done):
            return
        self._writer.emit(StateChanged("running", f"measuring on {training.evaluate_groups} held-out groups"))
        self._writer.emit(await self._control.interruptible(self._measure(self._examined, step)))
        self._writer.emit(StateChanged("running"))
        self._writer.flush()

    def _propose(self, best: Rollout) -> None:
        """Put what a group's best rollout leaves behind to review; what is held back is logged with its reason."""
        for position, insert in net_edits(best):
            self._proposals.propose(position, insert)


def best_rollout(rollouts: Sequence[Rollout], parts: Sequence[Parts]) -> Rollout | None:
    """The measured rollout of highest r; the first among equals, None where none was measured."""
    scored = [
        (part.r, -rollout.index, rollout) for rollout, part in zip(rollouts, parts, strict=True) if part.r is not None
    ]
    return max(scored, key=lambda item: item[:2])[2] if scored else None
