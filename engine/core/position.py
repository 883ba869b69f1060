"""Where in a run something happened, and how that is written: "3/g0/r2/p4/t5"."""

from __future__ import annotations

import re

import msgspec

_PLACE = r"(?a)(h?)(\d{1,9})(?:/g(\d{1,6})(?:/r(\d{1,6})(?:/p(\d{1,6})(?:/t(\d{1,6}))?)?)?)?"


class PositionId(msgspec.Struct, frozen=True):
    """Where in a run something happened. Steps and positions count from 1, groups and rollouts from 0.

    In a curate run `step` is the number of the task in the stream, and group, rollout are 0, position is 1. With
    `held_out`, it is a position of the fixed evaluation after `step` updates, and trains nothing.
    """

    step: int
    group: int = 0
    rollout: int = 0
    position: int = 1
    held_out: bool = False


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

    @property
    def at(self) -> PositionId | None:
        """The position, where the spot names one or a turn of it."""
        if self.group is None or self.rollout is None or self.position is None:
            return None
        return PositionId(self.step, self.group, self.rollout, self.position, self.held_out)

    @property
    def levels(self) -> tuple[int | None, ...]:
        """Group, rollout, position and turn."""
        return self.group, self.rollout, self.position, self.turn

    @property
    def above(self) -> Spot | None:
        """The spot one level up; None for a step."""
        given = [number for number in self.levels if number is not None]
        return Spot(self.step, self.held_out, *given[:-1]) if given else None


def spot_at(at: PositionId, turn: int | None = None) -> Spot:
    """The spot of a position, or of one of its turns."""
    return Spot(at.step, at.held_out, at.group, at.rollout, at.position, turn)


def place_of(at: PositionId, turn: int | None = None) -> str:
    """The place of a position, and of one of its turns."""
    return spot_at(at, turn).text


def spot_of(place: str) -> Spot | None:
    """The spot that a place names; None where it names none. In "h10/g3/p2" the rollout, which is 0, is left out."""
    found = re.fullmatch(_PLACE, re.sub(r"^(h\d+/g\d+)/p", r"\1/r0/p", place, count=1))
    if found is None:
        return None
    held_out, step, *others = found.groups()
    return Spot(int(step), bool(held_out), *(None if number is None else int(number) for number in others))
