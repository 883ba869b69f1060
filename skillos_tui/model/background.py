"""What is known of an edit beside its diff, as `skillos_tui.client.background` reads it. Cheap to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.core.edit import Edit
from engine.core.events import TurnTaken

if TYPE_CHECKING:
    from engine.review.context import Retrieved


class Background(msgspec.Struct, frozen=True):
    """The background of `edit`, as it was when it was asked for.

    `similar` are skills with scores in [0, 1], `retrieved` those of the `recent` tasks that were compared whose skills
    change by the edit, `vetoes` earlier vetoes on the same or a like skill, `turns` the decisive turns of its trajectory.
    `said` is what the curator wrote beside its calls, None where the log does not have its answer.
    `troubles` are sentences about what could not be read. `pinned`: no policy decides on it.
    """

    edit: Edit
    similar: tuple[tuple[str, float], ...] = ()
    retrieved: tuple[Retrieved, ...] = ()
    vetoes: tuple[Edit, ...] = ()
    turns: tuple[TurnTaken, ...] = ()
    recent: int = 0
    troubles: tuple[str, ...] = ()
    pinned: bool = False
    said: str | None = None
