"""The effect of a, v and u on the edit under the cursor: for the key line, and for the answer when they have none."""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.edit import Action, Edit, actions
from skillos_tui.keymap import Key
from skillos_tui.widgets.answer import AnswerBar

KEYS: dict[str, tuple[Action, ...]] = {"a": ("approve", "requeue"), "v": ("veto",), "u": ("undo",)}
"""The actions of each key; the state of the edit allows at most one of them."""


def action_of(key: str, edit: Edit) -> Action | None:
    """What a key does to the edit; None if it has no effect."""
    return next((action for action in KEYS[key] if action in actions(edit.state)), None)


def commit_of(edit: Edit) -> str:
    """The commit that an edit became, in short."""
    return edit.decision.commit[:10] if edit.decision else ""


def label(key: str, edit: Edit) -> str:
    """The effect of a key on the edit, for the key line; "" if it has none."""
    match action_of(key, edit):
        case "requeue":
            return "ask again"
        case "undo":
            return f"revert {commit_of(edit)}" if commit_of(edit) else "undo the veto"
        case action:
            return action or ""


def no_use(key: str, edit: Edit) -> str:
    """Why a key has no effect on the edit, and which key has one."""
    effects = {
        "approve": "a approves it",
        "requeue": "a asks for it again",
        "veto": "v vetoes it",
        "undo": f"u reverts its commit {commit_of(edit)}" if commit_of(edit) else "u undoes the veto",
    }
    possible = ", ".join(effects[action] for other in KEYS if (action := action_of(other, edit)) is not None)
    return f"{'Nothing to undo: this' if key == 'u' else 'This'} edit is {edit.state}; {possible}."


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
