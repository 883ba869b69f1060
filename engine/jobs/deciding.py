"""The decisions of the review policy in a run at work (`engine.review.policies`).

    deciding = Deciding(job)
    async with deciding.beside(): ...        # decides every `POLL_SECONDS` while the block works
    await deciding.decide()                  # and at once, after edits were proposed

The policy can change while the run works (`engine.runs.changing`). A decision that cannot be written leaves its edit in the
queue, with a notice, and is not tried again by this engine. One whose commit is made and not logged ends the run: the next
engine logs it (`engine.review.journal`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from engine.core.edit import Decision, Edit
from engine.core.events import Notice
from engine.jobs.job import JobContext
from engine.review.decisions import approve, veto
from engine.review.errors import AlreadyDecided, PinnedSkill, ReviewError
from engine.review.opened import Opened
from engine.review.policies import KINDS, Since
from engine.review.queue import pending

POLL_SECONDS = 1.0
"""How often the policy looks for edits whose time is over."""


class Deciding:
    """What the policy of one run decides."""

    def __init__(self, job: JobContext) -> None:
        self._job = job
        self._run = job.run
        self._since = Since()
        self._read = 0
        """The event up to which `_since` has the log."""
        self._failed: set[str] = set()
        self._pinned: set[str] = set()
        """The edits of pinned skills that a notice has named."""
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Decide while the block works. What ends with an error ends the run with it."""
        deciding = asyncio.ensure_future(self._watch())
        deciding.add_done_callback(self._ended)
        try:
            yield
        finally:
            deciding.cancel()
            await asyncio.gather(deciding, return_exceptions=True)

    async def decide(self, waited_for: Collection[str] = ()) -> None:
        """Decide on the edits that the policy decides on now. The next task waits for the edits `waited_for`.

        Raises `NotLogged` and `RunError`.
        """
        if self._job.now.review.policy == "ask":
            return
        async with self._one_at_a_time:
            await asyncio.to_thread(self._decide, frozenset(waited_for))

    async def _watch(self) -> None:
        while True:
            await self.decide()
            await asyncio.sleep(POLL_SECONDS)

    def _ended(self, deciding: asyncio.Future[None]) -> None:
        """An error here ends the run: without it, the policy would decide nothing more."""
        if not deciding.cancelled() and (error := deciding.exception()) is not None:
            self._job.control.fail(error)

    def _decide(self, waited_for: Collection[str]) -> None:
        self._job.writer.flush()
        waiting = pending(self._run)
        until = self._run.last_id()
        for stored in self._run.stream(after=self._read, kinds=KINDS, until=until):
            self._since.take(stored)
        self._read = until
        review = self._job.now.review
        for edit in waiting:
            if edit.id in self._failed:
                continue
            opened, now = Opened.of(self._run), time.time()
            waits = edit.id in waited_for
            decision = self._since.decision(review, edit, opened, now, done=self._job.done, waited_for=waits)
            if decision is not None:
                self._take(edit, decision)

    def _take(self, edit: Edit, decision: Decision) -> None:
        """Take a decision, unless a person was faster."""
        take = approve if decision.action == "approve" else veto
        try:
            take(self._run, edit.id, decision.by, decision.reason)
        except AlreadyDecided:
            return
        except PinnedSkill as error:  # the pin may be taken away later
            if edit.id not in self._pinned:
                self._pinned.add(edit.id)
                self._job.writer.emit(Notice("info", f"{edit.id} waits in the review queue: {error}"))
        except ReviewError as error:
            self._failed.add(edit.id)
            self._job.writer.emit(Notice("warning", f"{edit.id} stays in the review queue: {error}"))
