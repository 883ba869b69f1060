"""A place in the workbench: a screen, and what is selected there. Enter leads to one, b leads back.

    Target("rollouts", place_of(PositionId(3, group=0, rollout=2, position=4), turn=5))     # at "3/g0/r2/p4/t5"
    Target("review", "e12"), Target("skills", "find-kettle@3f2a9c1"), Target("rewards", "r_task@12")

`at` is written in the screen's own notation, "" for its beginning. It may come from a file of the session, so a screen takes
what it cannot understand for its beginning.
"""

from __future__ import annotations

import msgspec

from engine.core.position import Spot as Spot
from engine.core.position import place_of as place_of
from engine.core.position import spot_of as spot_of

SHOWN = "shown="
"""Before the name of a skill, a place on the Rollouts screen: the rollouts in which the skill was shown."""


class Target(msgspec.Struct, frozen=True):
    """The screen's name in the registry, and the place on it."""

    screen: str
    at: str = ""
