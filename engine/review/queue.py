"""The review queue of a run: strategies propose edits, the gates check them, and they wait for a decision.

    queue = ReviewQueue(run, writer, max_pending=20)
    edit = await queue.propose(edit)               # "pending" with an id, or "refused" with the reason in its decision
    edits = await queue.choose(4, candidates, 3)   # the best 3 edits of step 4, which are "pending"; the others are withheld
    pending(run), vetoed(run, limit=5)

Nothing that blocks is done on the event loop: files, SQLite and git are used in a thread. The edit that a person has open
(`engine.review.opened`) is never superseded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec

from engine.core.edit import Decision, Edit, transition
from engine.core.events import EditDecided, EditProposed, EditWithheld, ProposalsWithheld
from engine.review.checking import Gates, applied, open_repo
from engine.review.choosing import Chosen, choose, did_worse
from engine.review.errors import EditRefused, NoPlace
from engine.review.gates.base import Measure
from engine.review.policies import is_policy
from engine.review.room import QUEUE as QUEUE
from engine.review.room import fold, make_room
from engine.runs.directory import Run
from engine.runs.log import Transaction
from engine.runs.writer import EventWriter
from engine.skills.repo.repository import SkillRepo

GATES = "the gates"
"""Who refuses an edit."""
REPEATED = 500
"""The number of the newest edits among which those of a repeated step are looked for; the same of the withheld ones."""
RECENT = 100
"""The number of the newest `ProposalsWithheld` among which those of a repeated step are looked for."""
KEPT = 30
"""The most withheld edits of a step that are kept, the best ones; more are only counted."""


class Fresh(msgspec.Struct, frozen=True):
    """What of a step's edits can be put to review: `edits` apply to `repo` and are new, and `places` are left."""

    edits: list[Edit]
    refused: list[tuple[Edit, str]]
    places: int
    repo: SkillRepo


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

    async def choose(self, step: int, candidates: Sequence[Edit], most: int) -> list[Edit]:
        """Put the best edits of a step to review, at most `most` and at most one a skill; they wait then, the best first.

        What is not queued is logged as `ProposalsWithheld`, with the reason, and the best of it as `EditWithheld`, so that
        it can be asked for. A newer version of a skill supersedes the older ones that wait. All is one transaction: a
        crash leaves nothing of it, or all, and then the repeated step adds what is missing, which is nothing.
        """
        async with self._one_at_a_time:
            fresh = await asyncio.to_thread(self._fresh, step, candidates, most)
            chosen = await choose(fresh.edits, fresh.places, lambda edit: self._gates.check(edit, fresh.repo))
            return await asyncio.to_thread(self._log_choice, step, most, fresh, chosen)

    def _fresh(self, step: int, candidates: Sequence[Edit], most: int) -> Fresh:
        """The candidates that apply to the present repository and are new, and how many places the step has left."""
        self._writer.flush()
        repo = open_repo(self._run)
        edits: list[Edit] = []
        refused: list[tuple[Edit, str]] = []
        known = {
            old.change: f"the same edit {'waits already' if old.state == 'pending' else 'was vetoed'}: {old.id}"
            for old in (*self._run.edits("vetoed"), *self._run.edits("pending"))
        }
        mine = [old for old in self._run.edits(newest=REPEATED) if _step_of(old) == step]
        kept = [old for old in self._run.edits("withheld", newest=REPEATED) if _step_of(old) == step]
        repeated = {old.change for old in (*mine, *kept)}
        for candidate in candidates:
            if candidate.change in repeated:
                continue
            try:
                ready = applied(candidate, repo)
            except EditRefused as refusal:
                refused.append((candidate, refusal.why))
                continue
            if ready.change in repeated:
                continue
            if ready.change in known:
                refused.append((ready, known[ready.change]))
            else:
                edits.append(ready)
        room = most if self._max_pending is None else min(most, self._max_pending)
        return Fresh(edits, refused, max(0, room - len(mine)), repo)

    def _log_choice(self, step: int, most: int, fresh: Fresh, chosen: Chosen) -> list[Edit]:
        """Log the choice of a step in one transaction; the edits that wait now."""
        queued: list[Edit] = []
        withheld = [*chosen.withheld]
        with self._run.transaction() as transaction:
            for edit in chosen.queued:
                admitted = msgspec.structs.replace(
                    edit, id=_next_id(transaction), state=transition(edit.state, "admit")
                )
                try:
                    fold(transaction, admitted)
                    if self._max_pending is not None:
                        make_room(transaction, self._max_pending, admitted.id, spared={other.id for other in queued})
                except NoPlace:
                    withheld.insert(0, edit)
                    continue
                transaction.append(EditProposed(admitted))
                queued.append(admitted)
            for edit in withheld[:KEPT]:
                decision = Decision("withhold", QUEUE, _why_withheld(edit, queued, step, most))
                transaction.append(
                    EditWithheld(msgspec.structs.replace(edit, id=_next_id(transaction)).decided(decision))
                )
            logged = [stored.event for stored in self._run.tail(RECENT, ["proposals_withheld"])]
            counts = _counts(step, most, [*fresh.refused, *chosen.refused], len(withheld))
            transaction.append(*(count for count in counts if count not in logged))  # a repeated step repeats them
        return queued

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
            queued = msgspec.structs.replace(edit, id=_next_id(transaction), state=transition(edit.state, "admit"))
            if self._max_pending is not None:
                make_room(transaction, self._max_pending, queued.id)
            transaction.append(EditProposed(queued))
        return queued


def pending(run: Run) -> list[Edit]:
    """The edits that wait for a decision, oldest first."""
    return run.edits("pending")


def vetoed(run: Run, limit: int) -> list[Edit]:
    """The newest `limit` edits that people vetoed, newest first: the ones quoted to the curator. The order is that of the
    log. What a policy vetoed is not among them, for nobody looked at it."""
    found = run.edits("vetoed")
    edits = {edit.id: edit for edit in found if edit.decision is None or not is_policy(edit.decision.by)}
    decided = run.events(kinds=["edit_decided"]) if edits else []
    found = []
    for stored in reversed(decided):
        edit = edits.pop(stored.event.edit, None) if isinstance(stored.event, EditDecided) else None
        if edit is not None:
            found.append(edit)
    return found[:limit]


def _next_id(transaction: Transaction) -> str:
    return f"e{transaction.connection.execute('SELECT count(*) + 1 FROM edits').fetchone()[0]}"


def _step_of(edit: Edit) -> int | None:
    at = edit.provenance.position
    return at.step if at is not None else None


def _why_withheld(edit: Edit, queued: Sequence[Edit], step: int, most: int) -> str:
    """Why an edit is not in the queue, for a person."""
    better = next((other.id for other in queued if other.skill == edit.skill), None)
    if better is not None:
        return f"{better} is worth more, and is of the same skill and step; it can be queued"
    if did_worse(edit):
        return "the rollouts that leave it did worse than their groups; it can be queued"
    return f"others of step {step} are worth more, and {most} a step are queued (review.per_step); it can be queued"


def _counts(step: int, most: int, refused: Iterable[tuple[Edit, str]], withheld: int) -> list[ProposalsWithheld]:
    """What was not queued, by reason."""
    by_reason: dict[str, list[str]] = {}
    for edit, why in refused:
        by_reason.setdefault(why, []).append(f"{edit.operation} {edit.skill[:80]!r}")
    found = [
        ProposalsWithheld(step, len(names), f"{', '.join(dict.fromkeys(names))}: {why}")
        for why, names in by_reason.items()
    ]
    if withheld:
        kept = f", the best {KEPT} of which are kept" if withheld > KEPT else ""
        why = f"not among the best {most} of step {step} (review.per_step){kept}; --all lists them, requeue queues one"
        found.append(ProposalsWithheld(step, withheld, why))
    return found
