"""Names of receptacles, things and locations, mangled as in the benchmark's problems: `Mug_bar__plus_01_dot_20_bar_…`.

The player sees `mug 1` instead, by the rule of `engine.environments.alfworld.play.naming`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

BASIN = "Basin"
ACROSS, UP = (-400, 400), (0, 200)
FLOOR, SIDES, ANGLES = (-16, 16), (0, 3), (-2, 4)


class Names:
    """Draws unique names."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._taken: set[str] = set()

    def entity(self, kind: str) -> str:
        """A type with a position in centimetres. The name of a basin starts with the type that it is a part of."""

        def name(*position: int) -> str:
            numbers = [
                f"_{'minus' if cm < 0 else 'plus'}_{abs(cm) // 100:02}_dot_{abs(cm) % 100:02}" for cm in position
            ]
            return "_bar_".join([kind.removesuffix(BASIN), *numbers, *([kind] if kind.endswith(BASIN) else [])])

        return self._new(name, ACROSS, UP, ACROSS)

    def location(self) -> str:
        """A position on the floor in quarter metres, a direction, and an angle of view."""

        def name(x: int, z: int, side: int, angle: int) -> str:
            numbers = [f"_minus_{-number}" if number < 0 else str(number) for number in (x, z, side, 15 * angle)]
            return "_bar_".join(["loc", *numbers])

        return self._new(name, FLOOR, FLOOR, SIDES, ANGLES)

    def _new(self, name: Callable[..., str], *ranges: tuple[int, int]) -> str:
        while True:
            drawn = name(*[self._draw.randint(*each) for each in ranges])
            if drawn not in self._taken:
                self._taken.add(drawn)
                return drawn


def labels(kinds: dict[str, str]) -> dict[str, str]:
    """The label that the player sees for each name (`kinds`: types by name). Within a type, the last name is number 1."""
    read: dict[str, str] = {}
    numbers = dict.fromkeys(kinds.values(), 0)
    for name in sorted(kinds, key=str.lower, reverse=True):
        numbers[kinds[name]] += 1
        read[name] = f"{kinds[name].lower()} {numbers[kinds[name]]}"
    return read
