"""What was decided here about the edits of one run: what is under way, and all decisions in their order.

    decisions = Decisions()
    decisions.begin(edit, "approve")        # handed to the client; `word(edit)` is "being approved" until the log has it
    mine = decisions.catch_up(view.edits)   # the edits that the log has caught up with
    decisions.refuse("e7")                  # it was not taken

Pure data, no widget and no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.runs.store import Shown
from skillos_tui.model.view import Edit

Action = Literal["approve", "veto", "undo", "ask again"]

DONE: dict[Action, str] = {"approve": "approved", "veto": "vetoed", "undo": "undone", "ask again": "asked again"}


def shown(edit: Edit) -> Shown:
    """The edit as it is on the screen now; what is decided is bound to it."""
    return edit.proposed, edit.decided


@dataclass(frozen=True)
class Taken:
    """A decision that was taken here: on which edit, about which skill, and what it was."""

    edit: str
    skill: str
    action: Action


@dataclass
class Decisions:
    """The decisions of this session on one run, oldest first; `under_way` are those that the log does not show yet."""

    taken: list[Taken] = field(default_factory=list)
    under_way: dict[str, tuple[Action, Shown]] = field(default_factory=dict)

    def begin(self, edit: Edit, action: Action) -> None:
        """A decision on this edit, as it is shown now, has been sent."""
        self.under_way[edit.proposed.edit] = action, shown(edit)
        self.taken.append(Taken(edit.proposed.edit, edit.proposed.skill, action))

    def refuse(self, edit: str) -> None:
        """The decision that was under way was not taken."""
        action, _ = self.under_way.pop(edit, (None, None))
        last = next((at for at in reversed(range(len(self.taken))) if self.taken[at].edit == edit), None)
        if last is not None and self.taken[last].action == action:
            del self.taken[last]

    def catch_up(self, edits: Mapping[str, Edit]) -> set[str]:
        """Forget what was under way and has come true; answers the edits that changed so."""
        changed = {
            name for name, (_, before) in self.under_way.items() if name not in edits or shown(edits[name]) != before
        }
        for name in changed:
            del self.under_way[name]
        return changed

    def word(self, edit: str) -> str:
        """What is under way with this edit, as in "this edit is being approved"; "" when nothing is."""
        if edit not in self.under_way:
            return ""
        return f"being {DONE[self.under_way[edit][0]]}"
