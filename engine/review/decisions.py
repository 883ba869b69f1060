"""Decisions on the edits of a run's review queue: approve, amend, veto, undo, queue again.

    edit = approve(run, "e3", by="ann")              # "committed", or "conflicted" and nothing was written
    edit = amend(run, "e3", by="ann", text="…")      # approved with a person's text, which passes the gates first
    edit = undo(run, "e3", by="ann")                 # one step back: a git revert, or a veto that is open again
    edit = requeue(run, "e3", by="ann")              # an undone, superseded or conflicted edit waits again

`approve`, `amend`, `veto` and `undo` take `shown`, the edit as the person saw it: when it has changed since, nothing is
done.

The process that takes a decision applies it; no engine has to run. An approved edit is one git commit. Nothing else writes
to the run's repository. A decision that raises was not taken and never is later; only `NotLogged` says that its commit is
made, and the log gets it when the run is opened next (`reconcile`). Everything here blocks: in an event
loop, call `await asyncio.to_thread(approve, run, "e3", "ann")`.
"""

from __future__ import annotations

import msgspec

from engine.core.edit import OPEN, Decision, Edit, actions
from engine.core.events import EditDecided, EditProposed
from engine.review.checking import applied, gated, open_repo
from engine.review.context import pinned
from engine.review.errors import AlreadyDecided, EditRefused, NotLogged, PinnedSkill, ReviewError
from engine.review.journal import checked, commit, deciding, reconcile, revert
from engine.review.policies import is_policy
from engine.runs.directory import Run
from engine.skills.format.skill import Skill
from engine.skills.repo.pins import PinsError
from engine.skills.repo.repository import SkillRepo

__all__ = [
    "AlreadyDecided",
    "NotLogged",
    "ReviewError",
    "amend",
    "approve",
    "check_text",
    "reconcile",
    "requeue",
    "undo",
    "veto",
]


def approve(run: Run, edit_id: str, by: str, reason: str = "", *, shown: Edit | None = None) -> Edit:
    """Write a pending edit to the repository as one git commit.

    When the file changed since the proposal, nothing is written and the edit is `conflicted` (see `requeue`). Raises
    `AlreadyDecided`, or `ReviewError` when the edit is not as it was `shown` or the repository cannot be written, or
    `NotLogged` when it is committed and the log could not be written. A policy approves no edit of a pinned skill: raises
    `PinnedSkill`.
    """
    _check_pins(run, edit_id, by)
    with deciding(run):
        return commit(run, checked(run, edit_id, "approve", shown), by, reason)


def amend(run: Run, edit_id: str, by: str, text: str, reason: str = "", *, shown: Edit | None = None) -> Edit:
    """Approve a pending edit with `text` as the skill's file instead of the proposed text.

    The text passes the gates like any proposal. It is kept with the edit, beside the original, also after a conflict, so
    that it can be queued again. Raises as `approve` does, and `ReviewError` that says what is wrong with the text; then
    nothing was changed.
    """
    run.check_writable()
    _check_pins(run, edit_id, by)
    reconcile(run)
    edit = run.edit(edit_id)
    if text == edit.after or "amend" not in actions(edit.state):
        return approve(run, edit_id, by, reason, shown=shown)
    checked(run, edit_id, "amend", shown)
    amended = _amended(run, edit, by, text)
    with deciding(run):
        return commit(run, checked(run, edit_id, "approve", edit), by, reason, amended=amended)


def check_text(run: Run, edit_id: str, by: str, text: str) -> Edit:
    """The pending edit as `amend` would approve it with this text, with what the gates find in it. Nothing is changed.

    Raises `ReviewError` that says what is wrong with the text.
    """
    return _amended(run, run.edit(edit_id), by, text)


def veto(run: Run, edit_id: str, by: str, reason: str = "", *, shown: Edit | None = None) -> Edit:
    """Refuse a pending or conflicted edit; `reason` is quoted to the curator.

    Raises `AlreadyDecided`, or `ReviewError` when the edit is not as it was `shown`, and `PinnedSkill` as `approve` does.
    """
    _check_pins(run, edit_id, by)
    with deciding(run, unread=True), run.transaction() as transaction:
        edit = checked(run, edit_id, "veto", shown)
        event = EditDecided(edit_id, Decision("veto", by, reason))
        transaction.append(event)
    return event.applied(edit)


def undo(run: Run, edit_id: str, by: str, reason: str = "", *, shown: Edit | None = None) -> Edit:
    """Undo a decision: an approval by a git revert commit, a veto by putting the edit back into the queue.

    To reverse an undo, decide again: at once after a veto, after `requeue` for an approval. Raises `ReviewError` when
    there is nothing to undo, when the decision is not the one `shown`, or when the skill changed since, which the revert
    would lose, and `PinnedSkill` as `approve` does.
    """
    _check_pins(run, edit_id, by)
    with deciding(run):
        edit = run.edit(edit_id)
        if edit.state in OPEN:
            raise ReviewError(f"{edit_id} is {edit.state}; there is no decision to undo")
        checked(run, edit_id, "undo", shown)
        if edit.state == "committed":
            return revert(run, edit, by, reason)
        event = EditDecided(edit_id, Decision("undo", by, reason))
        run.append(event)
    return event.applied(edit)


def requeue(run: Run, edit_id: str, by: str) -> Edit:
    """Put a conflicted, superseded or undone edit back into the queue, against the repository's present text.

    An insert of what exists by now becomes an update, an update of what is gone an insert. Raises `ReviewError` when
    the edit no longer applies.
    """
    run.check_writable()
    reconcile(run)
    edit = run.edit(edit_id)
    if "requeue" not in actions(edit.state):
        raise ReviewError(
            f"{edit_id} is {edit.state}; only conflicted, superseded and undone edits can be queued again"
        )
    repo = open_repo(run)
    try:
        ready = gated(run, applied(_rebased(edit, repo), repo), repo)
    except EditRefused as refusal:
        raise ReviewError(f"{edit_id} cannot be queued again: {refusal.why}") from refusal
    with deciding(run), run.transaction() as transaction:
        if run.edit(edit_id) != edit:
            raise ReviewError(f"{edit_id} has changed meanwhile; nothing was done: look at it as it is now")
        event = EditProposed(ready.decided(Decision("requeue", by)), "requeue")
        transaction.append(event)
    return event.applied(edit)


def _check_pins(run: Run, edit_id: str, by: str) -> None:
    """Raise `PinnedSkill` where a policy decides on an edit of a pinned skill, or where the pins cannot be read."""
    if not is_policy(by):
        return
    try:
        names = pinned(run, run.edit(edit_id))
    except PinsError as error:
        raise PinnedSkill(f"{error}; until then no policy decides") from error
    if names:
        raise PinnedSkill(f"{', '.join(names)} is pinned, so a person decides, and no policy")


def _amended(run: Run, edit: Edit, by: str, text: str) -> Edit:
    """The edit with a person's text, checked on the repository that it was proposed on. Raises `ReviewError`."""
    if edit.after is None:
        raise ReviewError(f"{edit.id} removes a skill; there is no text to amend: approve or veto it")
    wanted = edit.amended(text, by)
    repo = _as_proposed_on(edit, open_repo(run))
    try:
        return gated(run, applied(wanted, repo), repo)
    except EditRefused as refusal:
        raise ReviewError(
            f"{edit.id} still waits; this text cannot replace the proposed one: {refusal.why}"
        ) from refusal


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
