"""A place in the workbench: a screen, and what is selected there. Enter leads to one, b leads back.

    Target("rollouts", place_of(PositionId(3, group=0, rollout=2, position=4), turn=5))     # at "3/g0/r2/p4/t5"
    Target("review", "e12"), Target("skills", "find-kettle@3f2a9c1"), Target("rewards", "r_task@12")

`at` is written in the screen's own notation, "" for its beginning. It may come from a file of the session, so a screen takes
what it cannot understand for its beginning.
"""

from __future__ import annotations

import re

import msgspec

from engine.core.position import PositionId

_PLACE = re.compile(r"(h?)(\d{1,9})(?:/g(\d{1,6})(?:/r(\d{1,6})(?:/p(\d{1,6})(?:/t(\d{1,6}))?)?)?)?")


class Target(msgspec.Struct, frozen=True):
    """The screen's name in the registry, and the place on it."""

    screen: str
    at: str = ""


class Spot(msgspec.Struct, frozen=True):
    """A place among the rollouts of a run; None from the level on that is not given. `turn` counts from 0."""

    step: int
    held_out: bool = False
    group: int | None = None
    rollout: int | None = None
    position: int | None = None
    turn: int | None = None

    @property
    def text(self) -> str:
        """The spot as a place: "3/g0/r2/p4/t5"; a held-out one starts with h."""
        names = (("g", self.group), ("r", self.rollout), ("p", self.position), ("t", self.turn))
        parts = [f"{'h' if self.held_out else ''}{self.step}"]
        for name, number in names:
            if number is None:
                break
            parts.append(f"{name}{number}")
        return "/".join(parts)


def place_of(at: PositionId, turn: int | None = None) -> str:
    """The place of a position, and of one of its turns."""
    return Spot(at.step, at.held_out, at.group, at.rollout, at.position, turn).text


def spot_of(place: str) -> Spot | None:
    """The spot that a place names; None where it names none."""
    found = _PLACE.fullmatch(place)
    if found is None:
        return None
    held_out, step, *others = found.groups()
    return Spot(int(step), bool(held_out), *(None if number is None else int(number) for number in others))
