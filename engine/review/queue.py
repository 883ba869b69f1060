"""The review queue of a run: strategies propose edits, the gates check them, and they wait for a decision.

    queue = ReviewQueue(run, writer, max_pending=20)
    edit = await queue.propose(edit)          # "pending" with an id, or "refused" with the reason in its decision
    pending(run), vetoed(run, limit=5)

`propose` does nothing on the event loop that blocks: files, SQLite and git are used in a thread.
"""

from __future__ import annotations

import asyncio

import msgspec

from engine.core.edit import Decision, Edit, transition
from engine.core.events import EditDecided, EditProposed, ProposalsWithheld
from engine.review.checking import Gates, applied, open_repo
from engine.review.errors import EditRefused, NoPlace
from engine.review.gates.base import Measure
from engine.runs.directory import Run
from engine.runs.log import Transaction
from engine.runs.writer import EventWriter
from engine.skills.repo.repository import SkillRepo

QUEUE = "the queue's limit"
"""Who supersedes an edit."""
GATES = "the gates"
"""Who refuses an edit."""
REPEATED = 500
"""The number of the newest superseded edits among which those of a repeated step are looked for."""


class ReviewQueue:
    """The queue as an engine fills it. Where `max_pending` edits wait, a newer one supersedes the oldest."""

    def __init__(
        self, run: Run, writer: EventWriter, *, max_pending: int | None = None, measure: Measure | None = None
    ) -> None:
        self._run = run
        self._writer = writer
        self._max_pending = max_pending
        self._gates = Gates(run, measure)
        self._one_at_a_time = asyncio.Lock()

    async def propose(self, edit: Edit) -> Edit:
        """Put an edit into the queue. The edit that is returned is "pending", or "refused" and not in the queue.

        It is refused when it does not apply to the present repository, a gate refuses it, the same edit waits already or was
        vetoed before, or the same position has proposed it before (a crash repeats a step). Each refusal is
        logged as `ProposalsWithheld`, with the reason. In a full queue the oldest edit is superseded; an approval of it that
        is under way is still logged, as that of an edit that was queued again.
        """
        async with self._one_at_a_time:
            try:
                ready, repo = await asyncio.to_thread(self._ready, edit)
                checked = await self._gates.check(ready, repo)
                return await asyncio.to_thread(self._admit, checked)
            except EditRefused as refusal:
                return await asyncio.to_thread(self._refuse, edit, refusal)

    def _refuse(self, edit: Edit, refusal: EditRefused) -> Edit:
        """Log why the edit is not in the queue."""
        position = edit.provenance.position
        about = "" if isinstance(refusal, NoPlace) else f"{edit.operation} {edit.skill[:80]!r}: "
        self._run.append(ProposalsWithheld(position.step if position else 0, 1, f"{about}{refusal.why}"))
        return edit.decided(Decision("refuse", GATES, refusal.why))

    def _ready(self, edit: Edit) -> tuple[Edit, SkillRepo]:
        """The edit on the present repository, if it is new. Raises `EditRefused`, and `NoPlace` if not."""
        self._writer.flush()
        repo = open_repo(self._run)
        ready = applied(edit, repo)
        at = edit.provenance.position
        superseded = self._run.edits("superseded", newest=REPEATED) if at is not None else []
        repeated = [old for old in superseded if old.provenance.position == at]
        for old in (*self._run.edits("pending"), *self._run.edits("vetoed"), *repeated):
            if old.change == ready.change:
                how = "waits already" if old.state == "pending" else f"was {old.state}"
                raise NoPlace(f"the same edit {how}: {old.id}")
        return ready, repo

    def _admit(self, edit: Edit) -> Edit:
        """Log the edit under a new id. Raises `NoPlace` where there is no room."""
        with self._run.transaction() as transaction:
            number = transaction.connection.execute("SELECT count(*) + 1 FROM edits").fetchone()[0]
            queued = msgspec.structs.replace(edit, id=f"e{number}", state=transition(edit.state, "admit"))
            if self._max_pending is not None:
                _make_room(transaction, self._max_pending, queued.id)
            transaction.append(EditProposed(queued))
        return queued


def pending(run: Run) -> list[Edit]:
    """The edits that wait for a decision, oldest first."""
    return run.edits("pending")


def vetoed(run: Run, limit: int) -> list[Edit]:
    """The newest `limit` vetoed edits, newest first: the ones quoted to the curator. The order is that of the log."""
    edits = {edit.id: edit for edit in run.edits("vetoed")}
    decided = run.events(kinds=["edit_decided"]) if edits else []
    found = []
    for stored in reversed(decided):
        edit = edits.pop(stored.event.edit, None) if isinstance(stored.event, EditDecided) else None
        if edit is not None:
            found.append(edit)
    return found[:limit]


def _make_room(transaction: Transaction, max_pending: int, newer: str) -> None:
    """Supersede the oldest edits that wait, to make room for `newer`. Raises `NoPlace` where none can be."""
    (waiting,) = transaction.connection.execute("SELECT count(*) FROM edits WHERE state = 'pending'").fetchone()
    oldest = transaction.connection.execute(
        "SELECT edit FROM edits WHERE state = 'pending' ORDER BY event LIMIT ?",
        [max(0, waiting - max_pending + 1)],
    ).fetchall()
    if waiting - len(oldest) >= max_pending:
        raise NoPlace(f"{max_pending} edits wait for review already")
    for (edit_id,) in oldest:
        why = f"{newer} took its place, for at most {max_pending} wait; it can be asked again"
        transaction.append(EditDecided(edit_id, Decision("supersede", QUEUE, why)))
