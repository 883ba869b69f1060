"""Decisions that are done and logged, or not done at all: what a command reported is what is true.

    with deciding(run):                                     # one process at a time; commits that the log lacks are logged
        edit = checked(run, "e3", "approve", shown)         # raises `AlreadyDecided`, `ReviewError`
        edit = commit(run, edit, by="ann", reason="…")      # a git commit, then its event
    reconcile(run)                                          # when a run is opened

Nothing is noted before it is done. A veto is one transaction of the database. An approval and an undo are a git commit and
then an event. The message of the commit holds the whole decision: the trailers name the run, the edit, the action, the
reviewer and the token of the decision, and the body is the person's reason. So where the process or the disk fails between
the two, `reconcile` finds the commit by its token, and logs the decision. A commit that failed is never tried again.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from engine.core.edit import Action, Decision, Edit, actions
from engine.core.events import Notice
from engine.core.locks import Locked, file_lock
from engine.review.errors import AlreadyDecided, NotLogged, ReviewError
from engine.review.missing import after, events_of, log_missing, missing
from engine.review.trailers import new_token, written
from engine.runs.directory import DECISIONS_LOCK, Run
from engine.runs.errors import RunError
from engine.skills.history.commits import one_line
from engine.skills.history.history import Conflict, History, HistoryError
from engine.skills.repo.pins import PinsError, pin_renamed

LOCK_SECONDS = 10.0


@contextmanager
def deciding(run: Run, *, unread: bool = False) -> Iterator[None]:
    """The right to decide on this run's edits. The commits that the log lacks are logged first.

    Raises `ReviewError`, also where the history cannot be read; with `unread` it need not be, for what writes no commit.
    """
    with _locked(run, LOCK_SECONDS):
        try:
            log_missing(run, missing(run))
        except HistoryError as error:
            if not unread:
                raise ReviewError(f"nothing was decided: {error}") from error
        yield


def reconcile(run: Run, *, wait: float = LOCK_SECONDS) -> list[str]:
    """Log the decisions whose commits are in the repository and not in the log; the ids of their edits, in that order.

    A commit of this run that does not fit the log becomes a `Notice`. Writes nothing where nothing is missing. Raises
    `ReviewError` where another process decides for longer than `wait` seconds, and `RunError`.
    """
    try:
        lacking = missing(run)
        if lacking is None or (run.read_only and not lacking.commits):
            return []
        with _locked(run, wait):
            return log_missing(run, missing(run))
    except HistoryError as error:
        raise ReviewError(f"the decisions of {run.path} cannot be compared with the history: {error}") from error


def checked(run: Run, edit_id: str, action: Action, shown: Edit | None = None) -> Edit:
    """The edit on which `action` may be taken.

    Raises `AlreadyDecided` when the edit's state does not allow it, and `ReviewError` when the edit is not as `shown`.
    """
    edit = run.edit(edit_id)
    if action not in actions(edit.state):
        raise AlreadyDecided(edit)
    if shown is not None and shown != edit:
        raise ReviewError(f"{edit_id} has changed since it was shown; nothing was done: look at it as it is now")
    return edit


def commit(run: Run, edit: Edit, by: str, reason: str = "", *, amended: Edit | None = None) -> Edit:
    """Commit a pending edit, or `amended` in its place: it is "committed" then, or "conflicted" and nothing was written.

    Raises `ReviewError` where nothing was committed, `NotLogged` where it was and the log could not be written afterwards.
    """
    wanted = amended or edit
    token = new_token(run)
    subject = f"{wanted.operation} {one_line(wanted.name)}{' (amended)' if wanted.amended_by else ''}"
    given = written(run, wanted, "approve", by, token, proposed=edit.after if amended else None)

    def write(history: History) -> str:
        return history.commit(wanted, message=f"{subject}\n\n{reason}", trailers=given)

    _check_log(run)
    if wanted.new_name:
        try:
            pin_renamed(run.repo_path, wanted.skill, wanted.new_name)
        except PinsError as error:
            raise ReviewError(f"{edit.id} could not be committed and still waits: {error}") from error
    try:
        made, left = _made(run, token, f"{edit.id} could not be committed and still waits", write)
    except Conflict as conflict:
        return _log(run, edit, Decision("conflict", by, str(conflict)), amended=amended)
    decision = Decision("approve", by, reason, made, token=token)
    return _log_commit(run, edit, decision, f"{edit.id} is committed as {made[:10]}", left, amended)


def revert(run: Run, edit: Edit, by: str, reason: str = "") -> Edit:
    """Revert the commit of a committed edit. Raises `ReviewError`, and then it stays committed, and `NotLogged`."""
    assert edit.decision is not None
    undone = edit.decision.commit
    token = new_token(run)
    given = written(run, edit, "undo", by, token)
    subject = f"Undo: {edit.operation} {one_line(edit.name)}"
    _check_log(run)
    try:
        made, left = _made(
            run,
            token,
            f"{edit.id} could not be undone and stays committed",
            lambda history: history.revert(undone, trailers=given, message=f"{subject}\n\n{reason}"),
        )
    except Conflict as conflict:
        raise ReviewError(f"{edit.id} cannot be undone, for the skill changed since: {conflict}") from conflict
    decision = Decision("undo", by, reason, made, token=token)
    return _log_commit(run, edit, decision, f"{edit.id} is undone by the commit {made[:10]}", left)


def _made(run: Run, token: str, failed: str, write: Callable[[History], str]) -> tuple[str, str]:
    """The id of the commit that `write` makes, and what is left to do there. An error after which the commit stands is none.

    Raises `Conflict`, `ReviewError` that begins with `failed`, or `NotLogged` where it may be made. A repository
    that is gone is not begun anew.
    """
    if not run.repo_path.is_dir():
        why = f"there is no folder {run.repo_path}; bring back the repository of this run: was it moved or not mounted?"
        raise ReviewError(f"{failed}: {why}")
    try:
        history = History.open(run.repo_path, parents=False)
        return write(history), history.warning
    except Conflict:
        raise
    except HistoryError as error:
        try:
            present = History.existing(run.repo_path)
            found = present.find("Decision", token) if present else None
        except HistoryError as unreadable:
            raise NotLogged(
                f"whether it was committed cannot be read ({unreadable}), after: {error}. If it was, the log gets it when "
                f"the run is opened next: skillos-engine review {shlex.quote(str(run.path))} list --all"
            ) from error
        if found is None:
            raise ReviewError(f"{failed}: {error}") from error
        return found.id, str(error)


def _check_log(run: Run) -> None:
    """Raise `RunError` where the log cannot be written now: before a commit that it could not record."""
    with run.transaction():
        pass


def _log_commit(run: Run, edit: Edit, decision: Decision, done: str, left: str, amended: Edit | None = None) -> Edit:
    """Log a decision whose commit is made, and what is `left` to do in the repository."""
    notices = [Notice("warning", f"{done}, but: {left}")] if left else []
    try:
        return _log(run, edit, decision, *notices, amended=amended)
    except RunError as error:
        raise NotLogged(
            f"{done}; the log could not be written: {error}; it is logged when the run is opened next"
        ) from error


def _log(run: Run, edit: Edit, decision: Decision, *notices: Notice, amended: Edit | None = None) -> Edit:
    """Log a decision that is done; the edit after it. The queue can have superseded the edit since it was checked."""
    with run.transaction() as transaction:
        present = run.edit(edit.id)
        events = events_of(present, decision, amended)
        transaction.append(*events, *notices)
    return after(present, events)


@contextmanager
def _locked(run: Run, wait: float) -> Iterator[None]:
    run.check_writable()
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(run.path / DECISIONS_LOCK, wait))
        except Locked as error:
            raise ReviewError(f"nothing was decided: {error}; try again") from error
        except OSError as error:
            raise ReviewError(f"nothing was decided: {_no_lock(run.path / DECISIONS_LOCK, error)}") from error
        yield


def _no_lock(path: Path, error: OSError) -> str:
    if not path.parent.exists():
        return f"there is no run at {path.parent} any more; was it deleted or moved?"
    why = f"{path} cannot be locked: {error.strerror}"
    if not isinstance(error, PermissionError):
        return why
    try:
        return f"{why}; it belongs to the user {path.owner()}, who can decide"
    except (OSError, KeyError):
        return why
