"""Decisions on edits, taken in a run's log and repository.

reconcile(run)                                     # when a run is opened: decisions that a crash kept from the log
after = decide(run, "e3", "veto", "too narrow", seen)
after = decide(run, "e3", "amend", "", seen, text)  # approved with this text in place of the proposed one
undo_commit(run, commit, by)                        # the decision that made this commit, if one of the run did
found = check(run, seen, text)                     # what the gates say of such a text; nothing is decided
"""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

from engine.core.edit import Action, Edit
from engine.runs.directory import Run

if TYPE_CHECKING:
    from skillos_tui.model.shelf import Done


def decide(run: Run, edit: str, action: Action, reason: str, seen: Edit, text: str = "") -> Edit:
    """The edit after a decision on it. `seen` is the edit as the person saw it, and `text` what it is amended with.

    Raises `RunError` when the decision is refused, also because the edit has changed since, or when its commit is made and
    the log could not be written, and `OSError`. The message says which.
    """
    from engine.review import decisions as reviews  # loads git: with the first decision, not with the first paint

    match action:
        case "approve":
            return reviews.approve(run, edit, user(), shown=seen)
        case "amend":
            return reviews.amend(run, edit, user(), text, reason, shown=seen)
        case "veto":
            return reviews.veto(run, edit, user(), reason, shown=seen)
        case "undo":
            return reviews.undo(run, edit, user(), shown=seen)
        case "requeue":
            return reviews.requeue(run, edit, user())
    raise ValueError(f"the workbench does not {action} edits")


def undo_commit(run: Run, commit: str, by: str) -> Done | None:
    """Take back the decision that made a commit: an approval is undone, and what an undo reverted is approved again. None
    where no decision of this run that stands made it. Raises as `decide`."""
    from engine.review import decisions as reviews
    from skillos_tui.model.shelf import Done

    decided = (*run.edits("committed"), *run.edits("undone"))
    made = (edit for edit in decided if edit.decision is not None and edit.decision.commit == commit)
    if (edit := next(made, None)) is None:
        return None
    if edit.state == "committed":
        after = reviews.undo(run, edit.id, by, shown=edit)
        so = f"with it the decision on {edit.id}, which Review can ask for again"
    else:
        after = reviews.approve(run, edit.id, by, shown=reviews.requeue(run, edit.id, by))
        so = f"{edit.id} is approved again"
    new = after.decision.commit if after.decision is not None else ""
    if not new:
        return Done(f"Nothing was written: {edit.id} is {after.state}; Review shows it.")
    return Done(f"Commit {commit[:10]} is undone by {new[:10]}, and {so}.", new)


def check(run: Run, edit: Edit, text: str) -> Edit:
    """The edit with this text, and what the gates found in it. Raises `RunError` that says why it cannot be used."""
    from engine.review import decisions as reviews

    return reviews.check_text(run, edit.id, user(), text)


def reconcile(run: Run) -> None:
    """Log the decisions whose commits the repository has and the log lacks. Raises `RunError`."""
    from engine.review.heads import may_lack

    if may_lack(run):
        from engine.review import journal  # loads git

        journal.reconcile(run)


def user() -> str:
    """Who decides: the name of the user of this terminal, or the number where there is no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
