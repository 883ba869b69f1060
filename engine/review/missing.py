"""The decisions of a run whose commits are in its repository and not in its log.

found = missing(run)                   # None for nothing
log_missing(run, found)                # needs the lock of decisions: see `engine.review.journal.reconcile`
unlogged(run)                          # to be counted only: the commits themselves
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence

import msgspec

from engine.core.edit import PAST, Decision, Edit, actions
from engine.core.events import EditDecided, EditProposed, Notice
from engine.review.checking import gated, open_repo
from engine.review.errors import EditRefused
from engine.review.trailers import action_of, committed, is_early, of_copy, of_run, reason_of
from engine.runs.directory import Run
from engine.skills.history.history import Commit, History

WALKED = 20
"""The head of the history is stored with the next event, or where more commits than these were walked."""
NOTICES = 10
"""The most commits that are named one by one in the log where it cannot take them."""

LogEvent = EditProposed | EditDecided


class Missing(msgspec.Struct, frozen=True):
    """The commits of this run up to the commit `head` that the log lacks, oldest first. Empty: only `head` is new."""

    head: str
    commits: list[Commit]
    history: History


def missing(run: Run) -> Missing | None:
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
    return Missing(head, lacking, history) if lacking or walked > WALKED else None


def unlogged(run: Run) -> list[Commit]:
    """The commits of this run's decisions that its log lacks, of the whole history, oldest first; nothing is written.

    Those of a copy of this run do not belong in its log. Raises `HistoryError`.
    """
    history = History.existing(run.repo_path)
    found = {made.trailers["Decision"]: made for made in history.since("") if of_run(run, made)} if history else {}
    return [made for made in _lacking(run, list(found.values())) if not of_copy(run, made)]


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


def log_missing(run: Run, found: Missing | None) -> list[str]:
    """Log the decisions of the missing commits, and up to which commit that was done, in one transaction.

    Needs the lock of decisions. Returns the ids of the edits, in the order of the commits.
    """
    if found is None:
        return []
    events: list[LogEvent | Notice] = []
    logged: list[str] = []
    with run.transaction() as transaction:
        edits = {edit.id: edit for edit in run.edits()} if found.commits else {}
        for made in found.commits:
            edit_id = made.trailers.get("Edit", "")
            meant = _stands_for(run, found.history, made, edits.get(edit_id))
            if isinstance(meant, Notice):
                events.append(meant)
                continue
            events += meant
            edits[edit_id] = after(edits[edit_id], meant)
            logged.append(edit_id)
        transaction.append(*_few(events, run))
        transaction.connection.execute("INSERT OR REPLACE INTO reconciled VALUES (1, ?)", (found.head,))
    return logged


def _stands_for(run: Run, history: History, made: Commit, edit: Edit | None) -> list[LogEvent] | Notice:
    """The events that a commit stands for, or a notice of why the log cannot take them."""
    if of_copy(run, made):
        return _refusal(run, made, "a copy of this run made it, or this run before it was moved to another disk")
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
    return events_of(edit, decision, None if wrote is edit else _with_findings(run, wrote))


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


def events_of(edit: Edit, decision: Decision, amended: Edit | None) -> list[LogEvent]:
    """What takes an edit through the table of states to a decision on it. An edit that left the queue returns to it."""
    events: list[LogEvent] = []
    if decision.action not in actions(edit.state) and "requeue" in actions(edit.state):
        events.append(EditProposed(edit, "requeue"))
    if amended is not None:
        events.append(EditProposed(amended, "amend"))
    return [*events, EditDecided(edit.id, decision)]


def after(edit: Edit, events: Sequence[LogEvent]) -> Edit:
    """The edit after these events."""
    for event in events:
        edit = event.applied(edit)
    return edit
