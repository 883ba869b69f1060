"""One line of the result of the faults benchmark."""

from __future__ import annotations

import msgspec


class Row(msgspec.Struct, frozen=True):
    """How often a fault was tried and how often what should hold held; `broken` describes each time that it did not."""

    fault: str
    tried: int
    held: int
    broken: list[str]
