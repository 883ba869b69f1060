"""The review queue of a run: edits are proposed, then approved, amended, vetoed or undone, each decision once.

    edit_id = propose(run, writer, operation, at=at, task=task.id, outcome=outcome, reason=why, proposer="curator")
    record = approve(run, edit_id, by="ann")     # record.state is "approved", or "conflicted" and nothing was written
    record = amend(run, edit_id, by="ann", text="…")        # approved with a person's text, which is checked like any other
    record = undo(run, edit_id, by="ann")        # one step back: a git revert, or a veto that is open again
    record = requeue(run, edit_id, by="ann")   # an undone, superseded or conflicted edit waits again

`approve`, `veto` and `undo` take `shown`, the edit as the person saw it: when it is another one by now, nothing is done.

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

import msgspec

from engine.core.edit import Action, actions
from engine.core.events import Decision, EditDecided, EditProposed, Notice, PositionId, ProposalsWithheld
from engine.core.files import Locked, folder_lock
from engine.core.outcomes import Outcome
from engine.review import checks
from engine.review import proposals as edits
from engine.runs.directory import EditRecord, Run, Shown, Transaction
from engine.runs.errors import RunError
from engine.runs.writer import EventWriter
from engine.skills import Insert, Operation, Refused, RepoError, SkillRepo, Update
from engine.skills.audit import DuplicateIndex
from engine.skills.history.history import Commit, Conflict, History, HistoryError
from engine.skills.repo.repository import read_skill

LOCK_SECONDS = 10.0
QUEUE = "the queue's limit"
"""Who supersedes an edit."""
REPEATED = 500
"""Among so many of the newest superseded edits those of a repeated step are looked for."""


class ReviewError(RunError):
    """A decision that cannot be taken; nothing was changed."""


class AlreadyDecided(ReviewError):
    """Somebody was first; `record` says who, when and what."""

    def __init__(self, record: EditRecord) -> None:
        self.record = record
        decision = record.decision
        who = f" by {decision.by}" if decision else ""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.decided_at or record.at))
        again = "; it can be asked again" if _allows(record, "queue") else ""
        super().__init__(f"{record.id} was {record.state}{who} at {when}{again}")


def propose(
    run: Run,
    writer: EventWriter,
    operation: Operation,
    *,
    at: PositionId,
    task: str,
    outcome: Outcome,
    reason: str,
    proposer: str,
    max_pending: int | None = None,
    others: DuplicateIndex | None = None,
) -> str | None:
    """Put an edit of the run's repository into the queue; its id, or None when it does not belong there.

    That is when it does not pass the checks (it does not apply to the present repository, or the audit blocks it), waits
    already, was vetoed before in the same words, or was put to review from this very place before (a crash repeats a step).
    Each of these is logged as `ProposalsWithheld`, with the reason. Where
    `max_pending` edits wait, the oldest that nobody is deciding on is superseded, which is logged. `others` is an
    index of near-identical skills to keep between proposals.
    """
    writer.flush()
    try:
        checked = _admit(run, operation, at, others)
        with run.transaction() as transaction:
            number = transaction.connection.execute("SELECT count(*) + 1 FROM edits").fetchone()[0]
            edit_id = f"e{number}"
            if max_pending is not None:
                _make_room(transaction, max_pending, edit_id)
            transaction.append(
                edits.proposed(checked, edit_id, at=at, task=task, outcome=outcome, reason=reason, proposer=proposer)
            )
    except Refused as refusal:
        run.append(ProposalsWithheld(at.step, 1, refusal.why))
        return None
    return edit_id


def pending(run: Run) -> list[EditRecord]:
    """The edits that wait for a decision, oldest first."""
    return run.edits("pending")


def vetoed(run: Run, limit: int) -> list[EditRecord]:
    """The newest `limit` vetoed edits, newest first: what the curator is told not to repeat."""
    records = run.edits("vetoed")
    records.sort(key=lambda record: record.decided_at or 0.0, reverse=True)
    return records[:limit]


def approve(run: Run, edit_id: str, by: str, *, shown: Shown | None = None) -> EditRecord:
    """Write a pending edit to the repository as one git commit.

    When the file changed since the proposal, nothing is written and the edit is `conflicted` (see `requeue`). Raises
    `AlreadyDecided`, or `ReviewError` when the edit is not what was `shown` or the repository cannot be written.
    """
    with _deciding(run):
        token = _take(run, edit_id, "approve", "approved", by, shown=shown)
        return _apply(run, edit_id, by, token)


def amend(run: Run, edit_id: str, by: str, text: str, reason: str = "") -> EditRecord:
    """Approve a pending edit with `text` as the skill's file in the place of what was proposed.

    The text is checked and audited like any proposal, and kept with the edit, beside the original, whatever becomes of the
    commit: after a conflict it can be asked again. Raises `AlreadyDecided`, or `ReviewError` that says what is wrong with
    the text (then nothing was changed).
    """
    with _deciding(run):
        record = run.edit(edit_id)
        if record.state == "pending" and text == record.proposal.after:
            token = _take(run, edit_id, "approve", "approved", by, reason)
            return _apply(run, edit_id, by, token, reason=reason)
        amended = _amended(run, record.proposal, by, text) if record.state == "pending" else None
        token = _take(run, edit_id, "amend", "amended", by, reason, amended)
        return _apply(run, edit_id, by, token, "amended", reason)


def veto(run: Run, edit_id: str, by: str, reason: str = "", *, shown: Shown | None = None) -> EditRecord:
    """Refuse a pending or conflicted edit; `reason` is quoted to the curator.

    Raises `AlreadyDecided`, or `ReviewError` when the edit is not what was `shown`.
    """
    with _deciding(run):
        token = _take(run, edit_id, "veto", "vetoed", by, reason, shown=shown)
        return _finish(run, token, EditDecided(edit_id, "vetoed", by, reason))


def undo(run: Run, edit_id: str, by: str, *, shown: Shown | None = None) -> EditRecord:
    """Take a decision back: an approval by a git revert commit, a veto by putting the edit back into the queue.

    An undo is itself taken back by deciding again: on a veto at once, on an approval after `requeue`. Raises
    `ReviewError` when there is nothing to undo, when the decision is not the one `shown`, or when the skill changed
    since, which the revert would lose.
    """
    with _deciding(run):
        record = run.edit(edit_id)
        if record.state in ("pending", "conflicted"):
            raise ReviewError(f"{edit_id} is {record.state}; there is no decision to undo")
        token = _take(run, edit_id, "undo", "undone", by, shown=shown)
        if record.state == "vetoed":
            return _finish(run, token, EditDecided(edit_id, "undone", by))
        return _revert(run, record, by, token)


def requeue(run: Run, edit_id: str, by: str) -> EditRecord:
    """Put a conflicted, superseded or undone edit back into the queue, against the repository's present text.

    An insert of what exists by now becomes an update, an update of what is gone an insert. Raises `ReviewError` when
    the edit no longer makes sense.
    """
    with _deciding(run):
        record = run.edit(edit_id)
        if not _allows(record, "queue"):
            raise ReviewError(
                f"{edit_id} is {record.state}; only conflicted, superseded and undone edits can be asked again"
            )
        repo = _repo(run)
        checked = _checked(run, edits.rebased(record.proposal, repo), repo, record.proposal.at)
        if checked.edit is None:
            raise ReviewError(f"{edit_id} cannot be asked again: {checked.refused}")
        run.append(_again(record.proposal, checked))
        return run.edit(edit_id)


def present_text(run: Run, proposal: EditProposed) -> str | None:
    """The present text of the skill that an edit is about; None where there is none."""
    skill = read_skill(run.repo_path, proposal.skill)
    return skill.text if skill is not None else None


def diff(run: Run, edit_id: str) -> str:
    """An edit as a unified diff; that of a conflicted edit starts from the present text."""
    record = run.edit(edit_id)
    proposal = record.proposal
    before = present_text(run, proposal) if record.state == "conflicted" else proposal.before
    old, new = proposal.skill, proposal.new_name or proposal.skill
    return _unified(before, proposal.after, f"a/{old}", f"b/{new}")


def amendment(record: EditRecord) -> str:
    """What a person changed in what was proposed, as a unified diff; "" where nobody amended it."""
    proposal = record.proposal
    return _unified(proposal.original, proposal.after, "proposed", "amended") if proposal.amended_by else ""


def _unified(before: str | None, after: str | None, old: str, new: str) -> str:
    lines = difflib.unified_diff(
        (before or "").splitlines(),
        (after or "").splitlines(),
        old if before is not None else "/dev/null",
        new if after is not None else "/dev/null",
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


def _allows(record: EditRecord, action: Action) -> bool:
    """Whether an edit's life (`engine.review.checks`) knows `action` from where it is.

    In a record, approved and amended mean committed as such.
    """
    return action in actions("committed" if record.state in ("approved", "amended") else record.state)


def _take(
    run: Run,
    edit_id: str,
    action: Action,
    decision: Decision,
    by: str,
    reason: str = "",
    amended: EditProposed | None = None,
    shown: Shown | None = None,
) -> str:
    """Note that `by` decides on an edit whose life allows `action`; a token that names it. Raises `AlreadyDecided`, or
    `ReviewError` when the edit is not what was `shown`.

    An `amended` proposal takes the place of the edit's own in the same moment.
    """
    token = uuid.uuid4().hex
    with run.transaction() as transaction:
        record = run.edit(edit_id)
        if not _allows(record, action):
            if record.state == "conflicted":
                raise ReviewError(
                    f"{edit_id} is conflicted: the skill changed since it was proposed; ask again or veto it"
                )
            raise AlreadyDecided(record)
        if shown is not None and shown != record.shown:
            raise ReviewError(f"{edit_id} has changed since it was shown; nothing was done: look at it as it is now")
        if amended is not None:
            transaction.append(amended)
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


def _apply(
    run: Run, edit_id: str, by: str, token: str, decision: Decision = "approved", reason: str = ""
) -> EditRecord:
    """Commit an edit whose approval is noted."""
    proposal = run.edit(edit_id).proposal
    name = proposal.new_name or proposal.skill
    amended = " (amended)" if proposal.amended_by else ""
    try:
        commit = History.open(run.repo_path).commit(
            edits.edit_of(proposal),
            message=f"{proposal.operation} {name}{amended}",
            trailers=edits.trailers(run, proposal, by, token),
        )
    except Conflict as conflict:
        return _finish(run, token, EditDecided(edit_id, "conflicted", by, str(conflict)))
    except HistoryError as error:
        _give_up(run, token)
        raise ReviewError(f"{edit_id} could not be committed and still waits: {error}") from error
    return _finish(run, token, EditDecided(edit_id, decision, by, reason, commit))


def _revert(run: Run, record: EditRecord, by: str, token: str) -> EditRecord:
    """Revert the commit of an edit whose undoing is noted."""
    assert record.decision is not None
    try:
        commit = History.open(run.repo_path).revert(
            record.decision.commit, trailers=edits.trailers(run, record.proposal, by, token)
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
        elif decision in ("approved", "amended"):
            _apply(run, edit_id, by, token, decision, reason)
        else:
            _try_revert(run, record, by, token)
    return [row[0] for row in rows]


def _try_revert(run: Run, record: EditRecord, by: str, token: str) -> None:
    try:
        _revert(run, record, by, token)
    except ReviewError as error:
        run.append(Notice("warning", str(error)))


# Checking, and the repository


def _admit(run: Run, operation: Operation, at: PositionId, others: DuplicateIndex | None) -> checks.Checked:
    """What the checks say of `operation`, if it may enter the queue. Raises `Refused`."""
    checked = _checked(run, operation, _repo(run), at, others)
    if checked.edit is None:
        raise Refused(f"{operation.kind} {operation.skill_name[:80]!r}: {checked.refused}")
    repeated = [record for record in run.edits("superseded", newest=REPEATED) if record.proposal.at == at]
    for record in (*run.edits("pending"), *run.edits("vetoed"), *repeated):
        if edits.same(record.proposal, checked.edit):
            how = "waits already" if record.state == "pending" else f"was {record.state}"
            raise Refused(f"the same edit {how}: {record.id}")
    return checked


def _checked(
    run: Run, operation: Operation, repo: SkillRepo, at: PositionId, others: DuplicateIndex | None = None
) -> checks.Checked:
    """The checks of an operation that the trajectory at `at` caused, by the run's own policy."""
    return checks.check(operation, repo, policy=run.config.audit, seen=edits.seen(run, at), others=others)


def _make_room(transaction: Transaction, max_pending: int, newer: str) -> None:
    """Supersede the oldest edits that wait, to make room for `newer`. Raises `Refused` where none can."""
    (waiting,) = transaction.connection.execute("SELECT count(*) FROM edits WHERE state = 'pending'").fetchone()
    oldest = transaction.connection.execute(
        "SELECT edit FROM edits WHERE state = 'pending' AND edit NOT IN (SELECT edit FROM decisions WHERE done = 0) "
        "ORDER BY event LIMIT ?",
        [max(0, waiting - max_pending + 1)],
    ).fetchall()
    if waiting - len(oldest) >= max_pending:
        raise Refused(f"{max_pending} edits wait for review already")
    for (edit_id,) in oldest:
        why = f"{newer} took its place, for at most {max_pending} wait; it can be asked again"
        transaction.append(EditDecided(edit_id, "superseded", QUEUE, why))


def _amended(run: Run, proposal: EditProposed, by: str, text: str) -> EditProposed:
    """The proposal with a person's text, checked. Raises `ReviewError`."""
    if proposal.after is None:
        raise ReviewError(f"{proposal.edit} removes a skill; there is no text to amend: approve or veto it")
    wanted: Operation = Update(proposal.skill, proposal.new_name or None, text)
    if proposal.operation == "insert":
        wanted = Insert(proposal.skill, text)
    checked = _checked(run, wanted, edits.as_proposed_on(proposal, _repo(run)), proposal.at)
    if checked.edit is None:
        raise ReviewError(f"{proposal.edit} still waits, for this text cannot take its place: {checked.refused}")
    again = _again(proposal, checked)
    original = proposal.after if proposal.original is None else proposal.original
    return msgspec.structs.replace(again, original=original, amended_by=by)


def _again(old: EditProposed, checked: checks.Checked) -> EditProposed:
    """An edit of the queue proposed once more, as it was checked now."""
    new = edits.proposed(
        checked, old.edit, at=old.at, task=old.task, outcome=old.outcome, reason=old.reason, proposer=old.proposer
    )
    return msgspec.structs.replace(new, original=old.original, amended_by=old.amended_by)


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
