"""Decisions on edits, taken in a run's log and repository."""

from __future__ import annotations

import getpass
import os

from engine.runs.directory import EditRecord, Run, Shown
from skillos_tui.model.decisions import Action


def decide(run: Run, edit: str, action: Action, reason: str, seen: Shown) -> EditRecord:
    """The edit after a decision on it. `seen` is the edit as the person saw it.

    Raises `RunError` when the decision is refused, also because the edit has changed since, and `OSError`.
    """
    from engine.review import decisions as reviews  # loads git: with the first decision, not with the first paint

    match action:
        case "approve":
            return reviews.approve(run, edit, user(), shown=seen)
        case "veto":
            return reviews.veto(run, edit, user(), reason, shown=seen)
        case "undo":
            return reviews.undo(run, edit, user(), shown=seen)
        case "ask again":
            return reviews.requeue(run, edit, user())


def user() -> str:
    """Who decides: the name of the user of this terminal, or the number where there is no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
