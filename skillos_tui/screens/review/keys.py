"""The effect of a, e, v and u on the edit under the cursor: for the key line, and for the answer when they have none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.core.edit import Action, Edit, actions
from skillos_tui.keymap import Key
from skillos_tui.widgets.answer import AnswerBar

KEYS: dict[str, tuple[Action, ...]] = {"a": ("approve", "requeue"), "e": ("amend",), "v": ("veto",), "u": ("undo",)}
"""The actions of each key; the state of the edit allows at most one of them."""


def action_of(key: str, edit: Edit) -> Action | None:
    """What a key does to the edit; None if it has no effect."""
    return next((action for action in KEYS[key] if action in actions(edit.state)), None)


def commit_of(edit: Edit) -> str:
    """The commit that an edit became, in short."""
    return edit.decision.commit[:10] if edit.decision else ""


def label(key: str, edit: Edit, *, touched: bool = False) -> str:
    """The effect of a key on the edit, for the key line; "" if it has none. `touched`: a person has left out hunks, or
    written another text, and decided nothing yet."""
    match action_of(key, edit):
        case "approve" if touched:
            return "approve this"
        case "requeue":
            return "ask again"
        case "undo":
            return f"revert {commit_of(edit)}" if commit_of(edit) else "undo the veto"
        case None if key == "u" and touched:
            return "drop changes"
        case action:
            return action or ""


def no_use(key: str, edit: Edit, key_of: Callable[[str], str]) -> str:
    """Why a key has no effect on the edit, and which key has one; `key_of` names the key of an action as the person has
    it."""
    approve, veto, undo = (key_of(f"review.{name}") for name in ("approve", "veto", "undo"))
    effects = {
        "approve": f"{approve} approves it",
        "requeue": f"{approve} asks for it again",
        "veto": f"{veto} vetoes it",
        "undo": f"{undo} reverts its commit {commit_of(edit)}" if commit_of(edit) else f"{undo} undoes the veto",
    }
    possible = ", ".join(effects[action] for other in "avu" if (action := action_of(other, edit)) is not None)
    return f"{'Nothing to undo: this' if key == 'u' else 'This'} edit is {edit.state}; {possible}."


class ReviewBar(AnswerBar):
    """The keys of Review; those for decisions are shown if they act on the edit under the cursor."""

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(keys)
        self.labels: dict[str, str] = {"a": "", "e": "", "space": "", "v": "", "u": "", "A": "", "U": ""}

    def show_edit(
        self, edit: Edit | None, *, deciding: bool, touched: bool, hunks: int, rest: int, undoes: int
    ) -> None:
        """Show the keys that act on this edit of so many hunks; none does while a decision on it is in progress. `rest` is
        how many edits A would decide on, `undoes` how many U would undo."""
        acts = edit is not None and not deciding
        labels = {key: label(key, edit, touched=touched) if edit is not None and acts else "" for key in KEYS}
        if edit is not None and edit.after is None:
            labels["e"] = ""
        hunk = edit is not None and acts and edit.state == "pending" and hunks > 1
        labels["space"] = "hunk" if hunk else ""
        labels["A"] = f"rest ({rest})" if rest > 1 else ""
        labels["U"] = f"undo all {undoes}" if undoes else ""
        if labels != self.labels:
            self.labels = labels
            self.renew()

    def own_keys(self) -> list[Key]:
        keys = [key._replace(label=self.labels.get(key.keys, key.label)) for key in super().own_keys()]
        return [key for key in keys if key.label]
