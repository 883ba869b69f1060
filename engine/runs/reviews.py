"""The review queue of a run: edits are proposed, then approved, vetoed or undone, each decision once.

    edit_id = propose(run, writer, operation, at=at, task=task.id, outcome=outcome, reason=why, proposer="curator")
    record = approve(run, edit_id, by="ann")     # record.state is "approved", or "conflicted" and nothing was written

Whoever takes a decision applies it, whether or not an engine lives. An approved edit is one git commit in the run's
repository; only what was approved is ever written there. A decision is first noted in the database, then done, then
logged as an `EditDecided`: what a crash left between is finished by the next decision or by `recover`.
"""

from __future__ import annotations

import difflib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from engine.outcomes import Outcome
from engine.runs.errors import RunError
from engine.runs.events import Address, Decision, EditDecided, EditProposed, Notice, ProposalsWithheld
from engine.runs.store import EditRecord, Run
from engine.runs.writer import EventWriter
from engine.skills import Delete, Edit, Insert, Operation, Refused, RepoError, Skill, SkillRepo, Update, review
from engine.skills.history import Commit, Conflict, History, HistoryError
from engine.skills.lock import Locked, folder_lock

LOCK_SECONDS = 10.0


class ReviewError(RunError):
    """A decision that cannot be taken; nothing was changed."""


class AlreadyDecided(ReviewError):
    """Somebody was first; `record` says who, when and what."""

    def __init__(self, record: EditRecord) -> None:
        self.record = record
        decision = record.decision
        who = f" by {decision.by}" if decision else ""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.decided_at or record.at))
        super().__init__(f"{record.id} was {record.state}{who} at {when}")


def propose(
    run: Run,
    writer: EventWriter,
    operation: Operation,
    *,
    at: Address,
    task: str,
    outcome: Outcome,
    reason: str,
    proposer: str,
    max_pending: int | None = None,
) -> str | None:
    """Put an edit of the run's repository into the queue; its id, or None when it does not belong there.

    That is when it does not apply to the present repository, waits already, was vetoed before in the same words, or
    when `max_pending` edits wait. Each of these is logged as `ProposalsWithheld`, with the reason.
    """
    writer.flush()
    try:
        edit = _admit(run, operation, max_pending)
    except Refused as refusal:
        run.append(ProposalsWithheld(at.step, 1, refusal.why))
        return None
    with run.transaction() as transaction:
        number = transaction.connection.execute("SELECT count(*) + 1 FROM edits").fetchone()[0]
        edit_id = f"e{number}"
        transaction.append(_proposal(edit, edit_id, at, task, outcome, reason, proposer))
    return edit_id


def pending(run: Run) -> list[EditRecord]:
    """The edits that wait for a decision, oldest first."""
    return run.edits("pending")


def vetoed(run: Run, limit: int) -> list[EditRecord]:
    """The newest `limit` vetoed edits, newest first: what the curator is told not to repeat."""
    records = run.edits("vetoed")
    records.sort(key=lambda record: record.decided_at or 0.0, reverse=True)
    return records[:limit]


def approve(run: Run, edit_id: str, by: str) -> EditRecord:
    """Write a pending edit to the repository as one git commit.

    When the file changed since the proposal, nothing is written and the edit is `conflicted` (see `ask_again`). Raises
    `AlreadyDecided`, or `ReviewError` when the repository cannot be written.
    """
    with _deciding(run):
        token = _take(run, edit_id, "approve", "approved", by)
        return _apply(run, edit_id, by, token)


def veto(run: Run, edit_id: str, by: str, reason: str = "") -> EditRecord:
    """Refuse a pending or conflicted edit; `reason` is quoted to the curator. Raises `AlreadyDecided`."""
    with _deciding(run):
        token = _take(run, edit_id, "veto", "vetoed", by, reason)
        return _finish(run, token, EditDecided(edit_id, "vetoed", by, reason))


def undo(run: Run, edit_id: str, by: str) -> EditRecord:
    """Take a decision back: an approval by a git revert commit, a veto by putting the edit back into the queue.

    Raises `ReviewError` when there is nothing to undo, or when the skill changed since, which the revert would lose.
    """
    with _deciding(run):
        record = run.edit(edit_id)
        if record.state in ("pending", "conflicted"):
            raise ReviewError(f"{edit_id} is {record.state}; there is no decision to undo")
        token = _take(run, edit_id, "undo", "undone", by)
        if record.state == "vetoed":
            return _finish(run, token, EditDecided(edit_id, "undone", by))
        return _revert(run, record, by, token)


def ask_again(run: Run, edit_id: str, by: str) -> EditRecord:
    """Put a conflicted or undone edit back into the queue, against the repository's present text.

    An insert of what exists by now becomes an update, an update of what is gone an insert. Raises `ReviewError` when
    the edit no longer makes sense.
    """
    with _deciding(run):
        record = run.edit(edit_id)
        if not _allows(record, "queue"):
            raise ReviewError(f"{edit_id} is {record.state}; only conflicted and undone edits can be asked again")
        repo = _repo(run)
        try:
            edit = _rebased(record.proposal, repo).apply(repo.fork())
        except Refused as refusal:
            raise ReviewError(f"{edit_id} cannot be asked again: {refusal.why}") from refusal
        old = record.proposal
        run.append(_proposal(edit, edit_id, old.at, old.task, old.outcome, old.reason, old.proposer))
        return run.edit(edit_id)


def present_text(run: Run, proposal: EditProposed) -> str | None:
    """The present text of the skill that an edit is about; None where there is none."""
    skill = _repo(run).get(proposal.skill)
    return skill.text if skill is not None else None


def diff(run: Run, edit_id: str) -> str:
    """An edit as a unified diff; that of a conflicted edit starts from the present text."""
    record = run.edit(edit_id)
    proposal = record.proposal
    before = present_text(run, proposal) if record.state == "conflicted" else proposal.before
    old, new = proposal.skill, proposal.new_name or proposal.skill
    lines = difflib.unified_diff(
        (before or "").splitlines(),
        (proposal.after or "").splitlines(),
        f"a/{old}" if before is not None else "/dev/null",
        f"b/{new}" if proposal.after is not None else "/dev/null",
        lineterm="",
    )
    return "\n".join(lines)


def recover(run: Run) -> list[str]:
    """Finish the decisions that a crash cut off halfway; the ids of their edits. Raises `ReviewError`."""
    with _locked(run):
        return _recover(run)


# How a decision is taken: noted, done, logged


@contextmanager
def _deciding(run: Run) -> Iterator[None]:
    """The right to decide on this run's edits, with what a crash left behind finished first."""
    with _locked(run):
        _recover(run)
        yield


@contextmanager
def _locked(run: Run) -> Iterator[None]:
    try:
        with folder_lock(run.path, LOCK_SECONDS):
            yield
    except Locked as error:
        raise ReviewError(f"{error}; try again") from error


def _allows(record: EditRecord, action: review.Action) -> bool:
    """Whether an edit's life (`engine.skills.review`) knows `action` from where it is; approved here means committed."""
    return action in review.actions("committed" if record.state == "approved" else record.state)


def _take(run: Run, edit_id: str, action: review.Action, decision: Decision, by: str, reason: str = "") -> str:
    """Note that `by` decides on an edit whose life allows `action`; a token that names it. Raises `AlreadyDecided`."""
    token = uuid.uuid4().hex
    with run.transaction() as transaction:
        record = run.edit(edit_id)
        if not _allows(record, action):
            if record.state == "conflicted":
                raise ReviewError(
                    f"{edit_id} is conflicted: the skill changed since it was proposed; ask again or veto it"
                )
            raise AlreadyDecided(record)
        transaction.connection.execute(
            "INSERT INTO decisions (edit, round, decision, by, reason, at, token) "
            "SELECT ?, count(*) + 1, ?, ?, ?, ?, ? FROM decisions WHERE edit = ?",
            (edit_id, decision, by, reason, time.time(), token, edit_id),
        )
    return token


def _finish(run: Run, token: str, decided: EditDecided) -> EditRecord:
    """Log a decision that is done."""
    with run.transaction() as transaction:
        transaction.append(decided)
        transaction.connection.execute("UPDATE decisions SET done = 1 WHERE token = ?", (token,))
    return run.edit(decided.edit)


def _give_up(run: Run, token: str) -> None:
    """Forget a decision that could not be done: the edit is as it was."""
    with run.transaction() as transaction:
        transaction.connection.execute("DELETE FROM decisions WHERE token = ?", (token,))


def _apply(run: Run, edit_id: str, by: str, token: str) -> EditRecord:
    """Commit an edit whose approval is noted."""
    proposal = run.edit(edit_id).proposal
    name = proposal.new_name or proposal.skill
    try:
        commit = History.open(run.repo_path).commit(
            _edit(proposal), message=f"{proposal.operation} {name}", trailers=_trailers(run, proposal, by, token)
        )
    except Conflict as conflict:
        return _finish(run, token, EditDecided(edit_id, "conflicted", by, str(conflict)))
    except HistoryError as error:
        _give_up(run, token)
        raise ReviewError(f"{edit_id} could not be committed and still waits: {error}") from error
    return _finish(run, token, EditDecided(edit_id, "approved", by, commit=commit))


def _revert(run: Run, record: EditRecord, by: str, token: str) -> EditRecord:
    """Revert the commit of an edit whose undoing is noted."""
    assert record.decision is not None
    try:
        commit = History.open(run.repo_path).revert(
            record.decision.commit, trailers=_trailers(run, record.proposal, by, token)
        )
    except Conflict as conflict:
        _give_up(run, token)
        raise ReviewError(f"{record.id} cannot be undone, for the skill changed since: {conflict}") from conflict
    except HistoryError as error:
        _give_up(run, token)
        raise ReviewError(f"{record.id} could not be undone and stays approved: {error}") from error
    return _finish(run, token, EditDecided(record.id, "undone", by, commit=commit))


def _recover(run: Run) -> list[str]:
    rows = run.db.all("SELECT edit, decision, by, reason, token FROM decisions WHERE done = 0 ORDER BY at")
    for edit_id, decision, by, reason, token in rows:
        commit = _committed(run, token)
        record = run.edit(edit_id)
        if commit is not None or decision == "vetoed" or record.state == "vetoed":
            _finish(run, token, EditDecided(edit_id, decision, by, reason, commit.id if commit else ""))
        elif decision == "approved":
            _apply(run, edit_id, by, token)
        else:
            _try_revert(run, record, by, token)
    return [row[0] for row in rows]


def _try_revert(run: Run, record: EditRecord, by: str, token: str) -> None:
    try:
        _revert(run, record, by, token)
    except ReviewError as error:
        run.append(Notice("warning", str(error)))


# Between events and skills


def _repo(run: Run) -> SkillRepo:
    try:
        return SkillRepo.open(run.repo_path)
    except RepoError as error:
        raise ReviewError(str(error)) from error


def _committed(run: Run, token: str) -> Commit | None:
    """The commit of a decision, if it got that far."""
    try:
        return History.open(run.repo_path).find("Decision", token)
    except HistoryError as error:
        raise ReviewError(str(error)) from error


def _admit(run: Run, operation: Operation, max_pending: int | None) -> Edit:
    """The edit that `operation` makes of the present repository, if it may enter the queue. Raises `Refused`."""
    try:
        edit = operation.apply(_repo(run).fork())
    except Refused as refusal:
        raise Refused(f"{operation.kind} {operation.skill_name[:80]!r} does not apply: {refusal.why}") from refusal
    for record in run.edits():
        if record.state in ("pending", "vetoed") and _same(record.proposal, edit):
            raise Refused(
                f"the same edit {'waits already' if record.state == 'pending' else 'was vetoed'}: {record.id}"
            )
    if max_pending is not None and run.count_edits("pending") >= max_pending:
        raise Refused(f"{max_pending} edits wait for review already")
    return edit


def _proposal(
    edit: Edit, edit_id: str, at: Address, task: str, outcome: Outcome, reason: str, proposer: str
) -> EditProposed:
    return EditProposed(
        edit=edit_id,
        at=at,
        operation="delete" if edit.after is None else "insert" if edit.before is None else "update",
        skill=edit.skill,
        new_name=edit.new_name,
        before=edit.before,
        after=edit.after,
        task=task,
        outcome=outcome,
        reason=reason,
        checks=_checks(edit),
        proposer=proposer,
    )


def _checks(edit: Edit) -> list[str]:
    """What a reader of the new file should know; an invalid file never gets this far."""
    if edit.after is None:
        return []
    findings = Skill.parse(edit.after, name=edit.new_name or edit.skill).findings
    return [f"line {finding.line}: {finding.message}" for finding in findings]


def _edit(proposal: EditProposed) -> Edit:
    """The edit that a proposal holds, its operation written out in full."""
    return Edit(_operation(proposal), proposal.skill, proposal.before, proposal.after, proposal.new_name)


def _operation(proposal: EditProposed) -> Operation:
    if proposal.after is None:
        return Delete(proposal.skill)
    if proposal.operation == "insert":
        return Insert(proposal.skill, proposal.after)
    return Update(proposal.skill, proposal.new_name or None, proposal.after)


def _same(proposal: EditProposed, edit: Edit) -> bool:
    """Whether a proposal would do exactly what `edit` does."""
    theirs = (proposal.skill, proposal.new_name, proposal.before, proposal.after)
    return theirs == (edit.skill, edit.new_name, edit.before, edit.after)


def _rebased(proposal: EditProposed, repo: SkillRepo) -> Operation:
    """What the proposal wants, as an operation on `repo` as it is now."""
    if proposal.after is None or proposal.skill in repo:
        operation = _operation(proposal)
        return Update(proposal.skill, None, proposal.after) if isinstance(operation, Insert) else operation
    return Insert(proposal.new_name or proposal.skill, proposal.after)


def _trailers(run: Run, proposal: EditProposed, by: str, token: str) -> dict[str, str]:
    """Who asked for a commit and why; by `Decision`, `recover` knows it. The history keeps each on one line."""
    return {
        "Run": run.id,
        "Step": str(proposal.at.step),
        "Task": proposal.task,
        "Edit": proposal.edit,
        "Proposer": proposal.proposer,
        "Reason": proposal.reason,
        "Reviewer": by,
        "Decision": token,
    }
