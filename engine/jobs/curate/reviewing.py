"""The edits of a curate run in the review queue: proposed, decided by the policy, or waited for.

The next task waits for a person's decision, as long as `review.wait_seconds`; an edit that is not decided by then stays in
the queue, and no later task waits for it. What the policy decides (`engine.jobs.deciding`) need not be waited for. A person
may change the policy while the run works (`engine.runs.changing`).
"""

from __future__ import annotations

import asyncio

from engine.core.events import Notice
from engine.core.text import counted
from engine.jobs.deciding import Deciding
from engine.jobs.job import JobContext
from engine.jobs.proposals import STOP_SECONDS, Proposals
from engine.review.gates.base import Measure
from engine.review.queue import pending
from engine.rollouts.position import Position

POLL_SECONDS = 0.2


class Reviewing:
    """The decisions on one run's edits. `measure` is given to the gates."""

    def __init__(self, job: JobContext, measure: Measure | None = None) -> None:
        self._run = job.run
        self._writer = job.writer
        self._control = job.control
        self._job = job
        self._proposals = Proposals(job.run, job.writer, measure=measure)
        self.deciding = Deciding(job)
        self._given_up: set[str] = set()

    async def propose(self, position: Position) -> None:
        """Put a position's edits to review, in order; the policy decides on each before the next is proposed."""
        for edit in position.edits:
            proposing = self._proposals.propose(position, edit)
            proposed = await self._control.interruptible(proposing, grace=STOP_SECONDS)
            if proposed.state == "pending":
                await self.deciding.decide()

    async def wait(self) -> None:
        """Wait until nothing new is pending, for at most `review.wait_seconds`. An edit that the policy `auto` could not
        approve is not waited for."""
        await self.deciding.decide()
        if self._auto:
            self._given_up |= self._undecided()
        if not (waiting := self._undecided()):
            return
        limit = self._job.now.review.wait_seconds
        self._control.running(_waiting(waiting))
        try:
            await self._control.interruptible(asyncio.wait_for(self._nothing_pending(waiting), limit))
            self._control.running()
        except TimeoutError:
            self._given_up |= self._undecided()
            self._writer.emit(
                Notice("warning", f"nobody decided within {limit:g} s; the edits stay in the review queue")
            )
            self._control.running()

    async def _nothing_pending(self, said: set[str]) -> None:
        """Wait for the decisions; where the policy becomes `auto` meanwhile, it approves what is waited for. `said` are the
        edits of the state that is shown; a decision, or one that is undone, changes their number."""
        while waiting := self._undecided():
            if len(waiting) != len(said):
                self._control.running(_waiting(waiting))
            said = waiting
            await self.deciding.decide(waiting)
            if self._auto:
                self._given_up |= self._undecided()
                return
            await asyncio.sleep(POLL_SECONDS)

    @property
    def _auto(self) -> bool:
        """Whether the policy approves all, as a person may change it while the run works."""
        return self._job.now.review.policy == "auto"

    def _undecided(self) -> set[str]:
        return {edit.id for edit in pending(self._run)} - self._given_up


def _waiting(edits: set[str]) -> str:
    return f"waiting for a decision on {counted(len(edits), 'edit')}"
