"""An edit as a unified diff."""

from __future__ import annotations

import difflib

from engine.core.edit import Edit
from engine.runs.directory import Run
from engine.skills.repo.repository import read_skill


def diff(run: Run, edit_id: str) -> str:
    """An edit as a unified diff; that of a conflicted edit starts from the present text."""
    edit = run.edit(edit_id)
    before = present_text(run, edit) if edit.state == "conflicted" else edit.before
    return _unified(before, edit.after, f"a/{edit.skill}", f"b/{edit.name}")


def amendment(edit: Edit) -> str:
    """What a person changed in what was proposed, as a unified diff; "" where it was not amended."""
    return _unified(edit.original, edit.after, "proposed", "amended") if edit.amended_by else ""


def present_text(run: Run, edit: Edit) -> str | None:
    """The present text of the skill that an edit is about; None where there is none."""
    skill = read_skill(run.repo_path, edit.skill)
    return skill.text if skill is not None else None


def _unified(before: str | None, after: str | None, old: str, new: str) -> str:
    lines = difflib.unified_diff(
        (before or "").splitlines(),
        (after or "").splitlines(),
        old if before is not None else "/dev/null",
        new if after is not None else "/dev/null",
        lineterm="",
    )
    return "\n".join(lines)
