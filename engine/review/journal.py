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
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from engine.core.edit import PAST, Action, Decision, Edit, actions
from engine.core.events import EditDecided, EditProposed, Notice
from engine.core.locks import Locked, file_lock
from engine.review.checking import gated, open_repo
from engine.review.errors import AlreadyDecided, EditRefused, NotLogged, ReviewError
from engine.review.trailers import action_of, committed, is_early, new_token, of_run, reason_of, written
from engine.runs.directory import DECISIONS_LOCK, Run
from engine.runs.errors import RunError
from engine.skills.history.commits import one_line
from engine.skills.history.history import Commit, Conflict, History, HistoryError

LOCK_SECONDS = 10.0
WALKED = 20
"""The head of the history is stored with the next event, or where more commits than these were walked."""
NOTICES = 10
"""The most commits that are named one by one in the log where it cannot take them."""

LogEvent = EditProposed | EditDecided


@contextmanager
def deciding(run: Run, *, unread: bool = False) -> Iterator[None]:
    """The right to decide on this run's edits. The commits that the log lacks are logged first.

    Raises `ReviewError`, also where the history cannot be read; with `unread` it need not be, for what writes no commit.
    """
    with _locked(run, LOCK_SECONDS):
        try:
            _log_missing(run, _missing(run))
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
        missing = _missing(run)
        if missing is None or (run.read_only and not missing.commits):
            return []
        with _locked(run, wait):
            return _log_missing(run, _missing(run))
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

    if not run.repo_path.exists():
        raise ReviewError(f"{edit.id} still waits: the run's repository {run.repo_path} is not there; put it back")
    _check_log(run)
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
                f"the run is opened next: skillos-engine review {run.path} list --all"
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
        events = _events(present, decision, amended)
        transaction.append(*events, *notices)
    return _after(present, events)


def _events(edit: Edit, decision: Decision, amended: Edit | None) -> list[LogEvent]:
    """What takes an edit through the table of states to a decision on it. An edit that left the queue returns to it."""
    events: list[LogEvent] = []
    if decision.action not in actions(edit.state) and "requeue" in actions(edit.state):
        events.append(EditProposed(edit, "requeue"))
    if amended is not None:
        events.append(EditProposed(amended, "amend"))
    return [*events, EditDecided(edit.id, decision)]


def _after(edit: Edit, events: Sequence[LogEvent]) -> Edit:
    for event in events:
        edit = event.applied(edit)
    return edit


# Commits that the log lacks


class _Missing(msgspec.Struct, frozen=True):
    """The commits of this run up to the commit `head` that the log lacks, oldest first. Empty: only `head` is new."""

    head: str
    commits: list[Commit]
    history: History


def _missing(run: Run) -> _Missing | None:
    """What the log lacks; None for nothing. Raises `HistoryError`."""
    history = History.existing(run.repo_path)
    if history is None:
        return None
    head = history.head
    known = next((found for (found,) in run.db.all("SELECT head FROM reconciled") if isinstance(found, str)), "")
    if known == head:
        return None
    walked = 0
    found: dict[str, Commit] = {}
    for made in history.since(known):
        walked += 1
        if of_run(run, made):
            found.setdefault(made.trailers["Decision"], made)
    lacking = _lacking(run, list(found.values())) if found else []
    return _Missing(head, lacking, history) if lacking or walked > WALKED else None


def unlogged(run: Run) -> list[Commit]:
    """The commits of this run's decisions that its log lacks, of the whole history, oldest first; nothing is written.

    Raises `HistoryError`.
    """
    history = History.existing(run.repo_path)
    found = {made.trailers["Decision"]: made for made in history.since("") if of_run(run, made)} if history else {}
    return _lacking(run, list(found.values()))


def _lacking(run: Run, found: list[Commit]) -> list[Commit]:
    """The commits whose decisions are not in the log.

    The log of an earlier version names commits and no tokens: where the history was rewritten since, each of its decisions
    stands for one commit of the same edit and action.
    """
    stored = [stored.event for stored in run.stream(kinds=["edit_decided"])]
    logged = [event for event in stored if isinstance(event, EditDecided) and event.decision.commit]
    tokens = {event.decision.token for event in logged}
    ids = {event.decision.commit for event in logged}
    present = {made.id for made in found}
    rewritten = Counter(
        (event.edit, event.decision.action)
        for event in logged
        if not event.decision.token and event.decision.commit not in present
    )
    lacking = []
    for made in found:
        if made.trailers["Decision"] in tokens or made.id in ids:
            continue
        decided = made.trailers.get("Edit", ""), action_of(made)
        if is_early(made) and rewritten[decided] > 0:
            rewritten[decided] -= 1
            continue
        lacking.append(made)
    return lacking


def _log_missing(run: Run, missing: _Missing | None) -> list[str]:
    """Log the decisions of the missing commits, and up to which commit that was done, in one transaction."""
    if missing is None:
        return []
    events: list[LogEvent | Notice] = []
    logged: list[str] = []
    with run.transaction() as transaction:
        edits = {edit.id: edit for edit in run.edits()} if missing.commits else {}
        for made in missing.commits:
            edit_id = made.trailers.get("Edit", "")
            found = _stands_for(run, missing.history, made, edits.get(edit_id))
            if isinstance(found, Notice):
                events.append(found)
                continue
            events += found
            edits[edit_id] = _after(edits[edit_id], found)
            logged.append(edit_id)
        transaction.append(*_few(events, run))
        transaction.connection.execute("INSERT OR REPLACE INTO reconciled VALUES (1, ?)", (missing.head,))
    return logged


def _stands_for(run: Run, history: History, made: Commit, edit: Edit | None) -> list[LogEvent] | Notice:
    """The events that a commit stands for, or a notice of why the log cannot take them."""
    if edit is None:
        return _refusal(run, made, "the log has no such edit")
    action, state = action_of(made), edit.state
    decision = Decision(
        action,
        made.trailers.get("Reviewer", "unknown"),
        reason_of(made),
        made.id,
        float(made.time),
        made.trailers["Decision"],
    )
    if action == "undo":
        if state != "committed" or edit.decision is None or edit.decision.commit != made.trailers["Reverts"]:
            return _refusal(run, made, f"the log has {edit.id} as {state}, and not by the commit that was reverted")
        return [EditDecided(edit.id, decision)]
    if not {"approve", "requeue"} & set(actions(state)):
        return _refusal(run, made, f"the log has {edit.id} as {state}")
    wrote = committed(edit, made, history.show(made.id))
    if wrote is None:
        return _refusal(run, made, f"{edit.id} in the log is another edit, with another text")
    return _events(edit, decision, None if wrote is edit else _with_findings(run, wrote))


def _with_findings(run: Run, edit: Edit) -> Edit:
    """An amended edit with what the gates find in its text, which had passed them."""
    try:
        return gated(run, edit, open_repo(run))
    except EditRefused:
        return edit


def _refusal(run: Run, made: Commit, why: str) -> Notice:
    about = f"{made.trailers.get('Edit', '?')[:40]} was {PAST[action_of(made)]} by {made.trailers.get('Reviewer', '?')[:80]}"
    return Notice(
        "warning",
        f"the commit {made.id[:10]} of {run.repo_path} says that {about}, and the log of this run does not have it: {why}. "
        f"Nothing was changed; look at it with: skillos-engine skills {shlex.quote(str(run.repo_path))} diff "
        f"{made.id[:10]}",
    )


def _few(events: Sequence[LogEvent | Notice], run: Run) -> list[LogEvent | Notice]:
    """The events with at most `NOTICES` notices, and the number of the others."""
    notices = [event for event in events if isinstance(event, Notice)]
    few: list[LogEvent | Notice] = [event for event in events if not isinstance(event, Notice)] + notices[:NOTICES]
    more = len(notices) - NOTICES
    if more > 0:
        few.append(Notice("warning", f"{more} more commits of {run.repo_path} name this run and do not fit its log"))
    return few


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
    why = f"{path} cannot be locked: {error.strerror}"
    if not isinstance(error, PermissionError):
        return why
    try:
        return f"{why}; it belongs to the user {path.owner()}, who can decide"
    except (OSError, KeyError):
        return why
