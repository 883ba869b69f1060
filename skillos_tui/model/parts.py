"""What the state of a run holds beside events: the newest change of a skill, and the newest held-out measurement."""

from __future__ import annotations

from dataclasses import dataclass, field

from skillos_tui.model.episodes import Followed


@dataclass
class Change:
    """A skill's file before and after a change, and where the change was made; None where there is no file."""

    skill: str
    before: str | None
    after: str | None
    where: str


@dataclass
class Measurement:
    """The newest held-out measurement: after which step, of how many groups, and the episodes of the group that is
    followed. `begun` is set by its first episode; `over` when it has ended, or training continues without its result."""

    step: int
    groups: int = 1
    begun: bool = False
    over: bool = False
    followed: Followed = field(default_factory=Followed)
