"""Houses: what differs from one to the next, so that an executor cannot know it without skills.

In each house every kind of thing is kept in a place of its own, some places are shut and open only by this house's way
(pull, push or turn), and of the machines that stand there one heats, one cools, one cleans and one does nothing. A house is
drawn from a seed by SHA-256, so the same seed gives the same house on any machine.

    house = draw_house(7)
    house.homes["mug"], house.machines["hot"], house.opener
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import msgspec

from engine.core.seeds import stream

TREATMENTS = ("hot", "cold", "clean")


class Nouns(msgspec.Struct, frozen=True):
    """The word lists; no word is in two of them."""

    places: list[str]
    things: list[str]
    machines: list[str]
    openers: list[str]


class House(msgspec.Struct, frozen=True):
    """One house. `homes`: thing → place; `shut`: places that must be opened; `machines`: treatment → machine;
    `idle`: the machine that does nothing; `opener`: the verb that opens every shut place here."""

    seed: int
    places: tuple[str, ...]
    homes: dict[str, str]
    shut: tuple[str, ...]
    machines: dict[str, str]
    idle: str
    opener: str

    @property
    def all_machines(self) -> tuple[str, ...]:
        """Every machine's name in alphabetical order, which does not show what it does."""
        return tuple(sorted([*self.machines.values(), self.idle]))


@cache
def nouns() -> Nouns:
    """The shipped word lists."""
    text = (resources.files(__package__) / "nouns.json").read_bytes()
    return msgspec.json.decode(text, type=Nouns)


def draw_house(seed: int, *, places: int = 6, things: int = 4, shut: int = 2) -> House:
    """The house of `seed`: `things` kinds kept in as many of its `places`, `shut` of which must be opened."""
    draw = stream("house", seed, places, things, shut)
    words = nouns()
    rooms = draw.sample(words.places, places)
    machines = draw.sample(words.machines, len(TREATMENTS) + 1)
    return House(
        seed=seed,
        places=tuple(rooms),
        homes=dict(zip(draw.sample(words.things, things), draw.sample(rooms, things), strict=True)),
        shut=tuple(sorted(draw.sample(rooms, shut))),
        machines=dict(zip(TREATMENTS, machines, strict=False)),
        idle=machines[-1],
        opener=draw.choice(words.openers),
    )
