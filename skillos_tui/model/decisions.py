"""The decisions on the edits of one run that were taken in this session: those in progress, and all in their order.

    decisions = Decisions()
    decisions.begin(edit, "approve")        # sent to the client; `word(edit)` is "being approved" until the log has it
    mine = decisions.catch_up(view.edits)   # the edits whose decision is in the log now
    decisions.refuse("e7")                  # the decision was refused

Pure data, no widget and no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.core.edit import PAST, Action, Edit


@dataclass(frozen=True)
class Taken:
    """A decision that was taken here: the edit, its skill, and the action."""

    edit: str
    skill: str
    action: Action


@dataclass
class Decisions:
    """The decisions of this session on one run, oldest first; `under_way` holds those that are not in the log yet. `rest`
    are the edits of the last decision on many, which is undone as one; empty after that."""

    taken: list[Taken] = field(default_factory=list)
    under_way: dict[str, tuple[Action, Edit]] = field(default_factory=dict)
    rest: tuple[str, ...] = ()

    def begin(self, edit: Edit, action: Action) -> None:
        """Note that a decision on this edit, as it is shown now, has been sent."""
        self.under_way[edit.id] = action, edit
        self.taken.append(Taken(edit.id, edit.skill, action))

    def refuse(self, edit: str) -> None:
        """Note that the decision in progress was refused."""
        action, _ = self.under_way.pop(edit, (None, None))
        last = next((at for at in reversed(range(len(self.taken))) if self.taken[at].edit == edit), None)
        if last is not None and self.taken[last].action == action:
            del self.taken[last]

    def catch_up(self, edits: Mapping[str, Edit]) -> set[str]:
        """Forget the decisions that are in the log now; returns their edits."""
        changed = {name for name, (_, before) in self.under_way.items() if edits.get(name) != before}
        for name in changed:
            del self.under_way[name]
        return changed

    def word(self, edit: str) -> str:
        """The decision in progress on this edit, as in "this edit is being approved"; "" for none."""
        if edit not in self.under_way:
            return ""
        return f"being {PAST[self.under_way[edit][0]]}"
