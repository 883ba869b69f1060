"""What one decision on many edits is about: the rest of a filter.

rest = rest_of(queue.groups, under_way)
rest.newest, rest.all                   # the newest edit of each skill that waits, and all of them
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from engine.core.edit import Edit
from engine.review.worth import SkillQueue


class Rest(NamedTuple):
    """What is left of a filter: the newest edit of each skill that waits, and all of them."""

    newest: tuple[Edit, ...]
    all: tuple[Edit, ...]


def rest_of(groups: Sequence[SkillQueue], under_way: Collection[str] = ()) -> Rest:
    """The rest of these entries. Conflicted edits and those that are being decided on are no part of it."""
    newest: list[Edit] = []
    every: list[Edit] = []
    for group in groups:
        waiting = [e for e in (group.newest, *group.older) if e.state == "pending" and e.id not in under_way]
        newest += waiting[:1]
        every += waiting
    return Rest(tuple(newest), tuple(every))
