"""How a decision survives a crash: it is first noted in the database, then done, then logged as an `EditDecided`.

    with deciding(run):                                     # one process at a time
        token = note(run, edit_id, "approve", by="ann")     # raises `AlreadyDecided`, `ReviewError`
        commit(run, edit_id, by="ann", token=token)         # a git commit that names the token, then the event

What a crash leaves between these steps is finished by `recover`: the next decision calls it, and so does an engine that
starts. A commit carries the token of its decision, so that it is not made twice.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from engine.core.edit import Action, Decision, Edit, actions
from engine.core.events import EditDecided, EditProposed, Notice
from engine.core.files import Locked, folder_lock
from engine.review.errors import AlreadyDecided, ReviewError
from engine.runs.directory import Run
from engine.skills.history.history import Commit, Conflict, History, HistoryError

LOCK_SECONDS = 10.0


def recover(run: Run) -> list[str]:
    """Finish the decisions that a crash cut off halfway; the ids of their edits. Raises `ReviewError`."""
    with _locked(run):
        return _recover(run)


@contextmanager
def deciding(run: Run) -> Iterator[None]:
    """The right to decide on this run's edits; decisions that a crash cut off are finished first."""
    with _locked(run):
        _recover(run)
        yield


def note(
    run: Run,
    edit_id: str,
    action: Action,
    by: str,
    reason: str = "",
    *,
    shown: Edit | None = None,
    amended: Edit | None = None,
) -> str:
    """Note that `by` decides on an edit; a token that names the decision.

    An `amended` edit replaces the pending one in the same transaction. Raises `AlreadyDecided` when the edit's state
    does not allow `action`, and `ReviewError` when the edit is not as it was `shown`.
    """
    token = uuid.uuid4().hex
    with run.transaction() as transaction:
        edit = run.edit(edit_id)
        if action not in actions(edit.state):
            raise AlreadyDecided(edit)
        if shown is not None and shown != edit:
            raise ReviewError(f"{edit_id} has changed since it was shown; nothing was done: look at it as it is now")
        if amended is not None:
            transaction.append(EditProposed(amended, "amend"))
        transaction.connection.execute(
            "INSERT INTO decisions (edit, round, action, by, reason, at, token) "
            "SELECT ?, count(*) + 1, ?, ?, ?, ?, ? FROM decisions WHERE edit = ?",
            (edit_id, action, by, reason, time.time(), token, edit_id),
        )
    return token


def finish(run: Run, token: str, edit_id: str, decision: Decision) -> Edit:
    """Log a decision that is done; the edit after it."""
    with run.transaction() as transaction:
        transaction.append(EditDecided(edit_id, decision))
        transaction.connection.execute("UPDATE decisions SET done = 1 WHERE token = ?", (token,))
    return run.edit(edit_id)


def commit(run: Run, edit_id: str, by: str, token: str, reason: str = "") -> Edit:
    """Commit an edit whose approval is noted: it is "committed" then, or "conflicted" and nothing was written."""
    edit = run.edit(edit_id)
    amended = " (amended)" if edit.amended_by else ""
    try:
        made = History.open(run.repo_path, parents=False).commit(
            edit, message=f"{edit.operation} {edit.name}{amended}", trailers=_trailers(run, edit, by, token)
        )
    except Conflict as conflict:
        return finish(run, token, edit_id, Decision("conflict", by, str(conflict)))
    except HistoryError as error:
        _give_up(run, token)
        raise ReviewError(f"{edit_id} could not be committed and still waits: {error}") from error
    return finish(run, token, edit_id, Decision("approve", by, reason, made))


def revert(run: Run, edit: Edit, by: str, token: str) -> Edit:
    """Revert the commit of an edit whose undoing is noted. Raises `ReviewError`, and then the edit stays committed."""
    assert edit.decision is not None
    try:
        made = History.open(run.repo_path, parents=False).revert(
            edit.decision.commit, trailers=_trailers(run, edit, by, token)
        )
    except Conflict as conflict:
        _give_up(run, token)
        raise ReviewError(f"{edit.id} cannot be undone, for the skill changed since: {conflict}") from conflict
    except HistoryError as error:
        _give_up(run, token)
        raise ReviewError(f"{edit.id} could not be undone and stays committed: {error}") from error
    return finish(run, token, edit.id, Decision("undo", by, commit=made))


def _recover(run: Run) -> list[str]:
    rows = run.db.all("SELECT edit, action, by, reason, token FROM decisions WHERE done = 0 ORDER BY at")
    for edit_id, action, by, reason, token in rows:
        made = _committed(run, token)
        edit = run.edit(edit_id)
        if made is not None or action == "veto" or edit.state == "vetoed":
            finish(run, token, edit_id, Decision(action, by, reason, made.id if made else ""))
        elif action == "approve":
            commit(run, edit_id, by, token, reason)
        else:
            _try_revert(run, edit, by, token)
    return [row[0] for row in rows]


def _try_revert(run: Run, edit: Edit, by: str, token: str) -> None:
    try:
        revert(run, edit, by, token)
    except ReviewError as error:
        run.append(Notice("warning", str(error)))


def _give_up(run: Run, token: str) -> None:
    """Forget a decision that could not be done: the edit is as it was."""
    with run.transaction() as transaction:
        transaction.connection.execute("DELETE FROM decisions WHERE token = ?", (token,))


def _committed(run: Run, token: str) -> Commit | None:
    """The commit of a decision, if it got that far."""
    try:
        return History.open(run.repo_path, parents=False).find("Decision", token)
    except HistoryError as error:
        raise ReviewError(str(error)) from error


@contextmanager
def _locked(run: Run) -> Iterator[None]:
    try:
        with folder_lock(run.path, LOCK_SECONDS):
            yield
    except Locked as error:
        raise ReviewError(f"{error}; try again") from error


def _trailers(run: Run, edit: Edit, by: str, token: str) -> dict[str, str]:
    """Who asked for a commit and why; `recover` finds it by `Decision`. The history keeps each on one line."""
    cause, at = edit.provenance, edit.provenance.position
    return {
        "Run": run.id,
        "Step": str(at.step) if at else "",
        "Trajectory": f"group {at.group} rollout {at.rollout} position {at.position}" if at else "",
        "Task": cause.task,
        "Outcome": str(cause.outcome),
        "Edit": edit.id,
        "Proposer": cause.proposer,
        "Reason": cause.reason,
        "Reviewer": by,
        "Amended": edit.amended_by,
        "Decision": token,
    }
