"""The effect of a, v and u on the edit under the cursor: for the key line, and for the answer when they have none."""

from __future__ import annotations

from collections.abc import Sequence

from skillos_tui.keymap import Key
from skillos_tui.model.decisions import Action
from skillos_tui.model.view import Edit, EditState
from skillos_tui.widgets.answer import AnswerBar

ALLOWED: dict[EditState, dict[str, Action]] = {
    "pending": {"a": "approve", "v": "veto"},
    "conflicted": {"a": "ask again", "v": "veto"},
    "approved": {"u": "undo"},
    "amended": {"u": "undo"},
    "vetoed": {"u": "undo"},
    "superseded": {"a": "ask again"},
    "undone": {"a": "ask again"},
}
"""The keys that act on an edit, by its state."""


def commit_of(edit: Edit) -> str:
    """The commit that an approved edit became, in short."""
    return edit.decided.commit[:10] if edit.decided else ""


def label(key: str, edit: Edit) -> str:
    """The effect of a key on the edit, for the key line; "" if it has none."""
    action = ALLOWED[edit.state].get(key)
    if action == "undo":
        return "take back the veto" if edit.state == "vetoed" else f"revert {commit_of(edit)}"
    return action or ""


def no_use(key: str, edit: Edit) -> str:
    """Why a key has no effect on the edit, and which key has one."""
    if key == "u" and edit.state == "pending":
        return "Nothing to undo: this edit waits. a approves, v vetoes it."
    if key == "u" and edit.state == "conflicted":
        return f"Nothing was written, so there is nothing to undo: {edit.proposed.skill} has changed. a asks again."
    does = {
        "approved": f"u reverts its commit {commit_of(edit)}",
        "amended": f"u reverts its commit {commit_of(edit)}",
        "vetoed": "u takes the veto back",
    }
    return f"This edit is {edit.state} already; {does.get(edit.state, 'a asks for it again')}."


class ReviewBar(AnswerBar):
    """The keys of Review; those for decisions are shown if they act on the edit under the cursor."""

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(keys)
        self.labels = {"a": "", "v": "", "u": ""}

    def show_edit(self, edit: Edit | None, deciding: bool) -> None:
        """Show the keys that act on this edit; none does while a decision on it is in progress."""
        labels = {key: label(key, edit) if edit is not None and not deciding else "" for key in self.labels}
        if labels != self.labels:
            self.labels = labels
            self.renew()

    def own_keys(self) -> list[Key]:
        keys = [key._replace(label=self.labels.get(key.keys, key.label)) for key in super().own_keys()]
        return [key for key in keys if key.label]
