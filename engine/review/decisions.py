"""Decisions on the edits of a run's review queue: approve, amend, veto, undo, queue again.

    edit = approve(run, "e3", by="ann")              # "committed", or "conflicted" and nothing was written
    edit = amend(run, "e3", by="ann", text="…")      # approved with a person's text, which passes the gates first
    edit = undo(run, "e3", by="ann")                 # one step back: a git revert, or a veto that is open again
    edit = requeue(run, "e3", by="ann")              # an undone, superseded or conflicted edit waits again

`approve`, `veto` and `undo` take `shown`, the edit as the person saw it: when it has changed since, nothing is done.

The process that takes a decision applies it; no engine has to run. An approved edit is one git commit. Nothing else writes
to the run's repository. `engine.review.journal` makes each decision survive a crash. Everything here blocks: in an event
loop, call `await asyncio.to_thread(approve, run, "e3", "ann")`.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import msgspec

from engine.core.edit import OPEN, Decision, Edit, actions
from engine.core.events import EditProposed
from engine.review.checking import Gates, applied, open_repo
from engine.review.errors import AlreadyDecided, EditRefused, ReviewError
from engine.review.journal import commit, deciding, finish, note, recover, revert
from engine.runs.directory import Run
from engine.skills.format.skill import Skill
from engine.skills.repo.repository import SkillRepo

__all__ = ["AlreadyDecided", "ReviewError", "amend", "approve", "recover", "requeue", "undo", "veto"]


def approve(run: Run, edit_id: str, by: str, reason: str = "", *, shown: Edit | None = None) -> Edit:
    """Write a pending edit to the repository as one git commit.

    When the file changed since the proposal, nothing is written and the edit is `conflicted` (see `requeue`). Raises
    `AlreadyDecided`, or `ReviewError` when the edit is not as it was `shown` or the repository cannot be written.
    """
    with deciding(run):
        token = note(run, edit_id, "approve", by, reason, shown=shown)
        return commit(run, edit_id, by, token, reason)


def amend(run: Run, edit_id: str, by: str, text: str, reason: str = "") -> Edit:
    """Approve a pending edit with `text` as the skill's file instead of the proposed text.

    The text passes the gates like any proposal. It is kept with the edit, beside the original, whatever becomes of the
    commit: after a conflict it can be queued again. Raises `AlreadyDecided`, or `ReviewError` that says what is wrong with
    the text (then nothing was changed).
    """
    recover(run)
    edit = run.edit(edit_id)
    if text == edit.after or "amend" not in actions(edit.state):
        return approve(run, edit_id, by, reason)
    amended = _amended(run, edit, by, text)
    with deciding(run):
        token = note(run, edit_id, "approve", by, reason, shown=edit, amended=amended)
        return commit(run, edit_id, by, token, reason)


def veto(run: Run, edit_id: str, by: str, reason: str = "", *, shown: Edit | None = None) -> Edit:
    """Refuse a pending or conflicted edit; `reason` is quoted to the curator.

    Raises `AlreadyDecided`, or `ReviewError` when the edit is not as it was `shown`.
    """
    with deciding(run):
        token = note(run, edit_id, "veto", by, reason, shown=shown)
        return finish(run, token, edit_id, Decision("veto", by, reason))


def undo(run: Run, edit_id: str, by: str, *, shown: Edit | None = None) -> Edit:
    """Undo a decision: an approval by a git revert commit, a veto by putting the edit back into the queue.

    To reverse an undo, decide again: at once after a veto, after `requeue` for an approval. Raises `ReviewError` when
    there is nothing to undo, when the decision is not the one `shown`, or when the skill changed since, which the revert
    would lose.
    """
    with deciding(run):
        edit = run.edit(edit_id)
        if edit.state in OPEN:
            raise ReviewError(f"{edit_id} is {edit.state}; there is no decision to undo")
        token = note(run, edit_id, "undo", by, shown=shown)
        if edit.state == "vetoed":
            return finish(run, token, edit_id, Decision("undo", by))
        return revert(run, edit, by, token)


def requeue(run: Run, edit_id: str, by: str) -> Edit:
    """Put a conflicted, superseded or undone edit back into the queue, against the repository's present text.

    An insert of what exists by now becomes an update, an update of what is gone an insert. Raises `ReviewError` when
    the edit no longer applies.
    """
    recover(run)
    edit = run.edit(edit_id)
    if "requeue" not in actions(edit.state):
        raise ReviewError(
            f"{edit_id} is {edit.state}; only conflicted, superseded and undone edits can be queued again"
        )
    repo = open_repo(run)
    try:
        checked = _checked(run, applied(_rebased(edit, repo), repo), repo)
    except EditRefused as refusal:
        raise ReviewError(f"{edit_id} cannot be queued again: {refusal.why}") from refusal
    with deciding(run), run.transaction() as transaction:
        if run.edit(edit_id) != edit:
            raise ReviewError(f"{edit_id} has changed meanwhile; nothing was done: look at it as it is now")
        transaction.append(EditProposed(checked.decided(Decision("requeue", by)), "requeue"))
    return run.edit(edit_id)


def _amended(run: Run, edit: Edit, by: str, text: str) -> Edit:
    """The edit with a person's text, checked on the repository that it was proposed on. Raises `ReviewError`."""
    if edit.after is None:
        raise ReviewError(f"{edit.id} removes a skill; there is no text to amend: approve or veto it")
    original = edit.after if edit.original is None else edit.original
    wanted = msgspec.structs.replace(edit, after=text, original=original, amended_by=by)
    repo = _as_proposed_on(edit, open_repo(run))
    try:
        return _checked(run, applied(wanted, repo), repo)
    except EditRefused as refusal:
        raise ReviewError(
            f"{edit.id} still waits; this text cannot replace the proposed one: {refusal.why}"
        ) from refusal


def _checked(run: Run, edit: Edit, repo: SkillRepo) -> Edit:
    """The edit past the run's gates, which are awaited in a thread of their own. Raises `EditRefused`."""
    with ThreadPoolExecutor(1, "gates") as thread:
        return thread.submit(lambda: asyncio.run(Gates(run).check(edit, repo))).result()


def _rebased(edit: Edit, repo: SkillRepo) -> Edit:
    """The edit, rebased on the present text of `repo`."""
    if edit.after is None:
        return edit
    present = repo.get(edit.skill)
    if present is None:
        return msgspec.structs.replace(edit, operation="insert", skill=edit.name, new_name="", before=None)
    return msgspec.structs.replace(edit, before=present.text) if edit.before is None else edit


def _as_proposed_on(edit: Edit, repo: SkillRepo) -> SkillRepo:
    """`repo` with the edit's own skill as it was when the edit was proposed."""
    skills = {name: skill for name, skill in repo.items() if name != edit.skill}
    if edit.before is not None:
        skills[edit.skill] = Skill.parse(edit.before, name=edit.skill)
    return SkillRepo(skills)
