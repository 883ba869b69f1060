"""A filter of the review queue, as it is typed: "superseded kettle", "update drawer", "find-kettle".

    wanted = Filter("vetoed drawer")
    wanted.admits(edit)                     # every word fits: its state, its operation, or a part of its name or text
    wanted.states                           # {"vetoed"}

A word that is a state ("pending", "approved", …) or an operation ("insert", "update", "delete") selects by that; any other
word is looked for in the skill's name, the text, and the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from engine.core.edit import Edit, OperationName, State

STATES: dict[str, frozenset[State]] = {
    "waiting": frozenset({"pending", "conflicted"}),
    "pending": frozenset({"pending"}),
    "conflicted": frozenset({"conflicted"}),
    "approved": frozenset({"committed"}),
    "committed": frozenset({"committed"}),
    "vetoed": frozenset({"vetoed"}),
    "undone": frozenset({"undone"}),
    "decided": frozenset({"committed", "vetoed", "undone"}),
    "superseded": frozenset({"superseded"}),
    "withheld": frozenset({"withheld"}),
}
OLD: frozenset[State] = frozenset({"superseded", "withheld"})
"""The states that only a filter shows."""
OPERATIONS: dict[str, OperationName] = {"insert": "insert", "update": "update", "delete": "delete"}


@dataclass(frozen=True)
class Filter:
    """What is looked for; an empty text admits everything but what was superseded or withheld."""

    text: str = ""

    @cached_property
    def words(self) -> list[str]:
        """The words, in small letters."""
        return self.text.casefold().split()

    @cached_property
    def states(self) -> frozenset[State]:
        """The states that the words name; empty for none of them."""
        return frozenset().union(*(STATES[word] for word in self.words if word in STATES))

    @property
    def old(self) -> frozenset[State]:
        """The states that are asked for and else left out: superseded and withheld."""
        return self.states & OLD

    def admits(self, edit: Edit) -> bool:
        """Whether the edit fits every word."""
        if self.states and edit.state not in self.states:
            return False
        operations = {OPERATIONS[word] for word in self.words if word in OPERATIONS}
        if operations and edit.operation not in operations:
            return False
        others = [word for word in self.words if word not in STATES and word not in OPERATIONS]
        if not others:
            return True
        texts = [
            edit.skill,
            edit.new_name,
            edit.after or edit.before or "",
            edit.provenance.reason,
            edit.provenance.task,
        ]
        whole = "\n".join(texts).casefold()
        return all(word in whole for word in others)
