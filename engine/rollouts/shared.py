"""The first episode of a group, played once for the rollouts that would play it alike.

    shared = SharedEpisode()                                    # one a group
    trajectory = await shared.play(at, shown, play, emit)       # in each rollout; `play(emit)` plays the episode

All rollouts of a group play a task with the same seed from the same repository. So where the strategy shows them the same,
and asked no model for it, their first episodes are equal. Rollout 0 plays, and each of the others takes its trajectory and
emits its events, with `EpisodeStarted.played_by`, but not its calls of models. A rollout that is shown something else plays
for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from engine.agents.executor import Trajectory
from engine.core.events import AnyEvent, CallsKept, EpisodeStarted, PositionId, Sink
from engine.core.lockstep import Given
from engine.curation.base import Shown

PLAYER = 0
"""The rollout that plays for the others."""


class _Played(msgspec.Struct, frozen=True):
    trajectory: Trajectory
    events: list[Any]


class SharedEpisode:
    """The first episode of one group, which rollout `PLAYER` plays."""

    def __init__(self) -> None:
        self._shown: Given[Shown | None] = Given()
        self._played: Given[_Played] = Given()

    def nothing_shown(self, at: PositionId) -> None:
        """The strategy of a rollout failed before its episode, so that it has none to share."""
        if at.rollout == PLAYER:
            self._shown.give(None)

    async def play(
        self, at: PositionId, shown: Shown, play: Callable[[Sink], Coroutine[Any, Any, Trajectory]], emit: Sink
    ) -> Trajectory:
        """The trajectory of the rollout at `at`, its events emitted. Raises what `play` raises."""
        alike = None if shown.completions else shown
        if at.rollout != PLAYER:
            if alike is None or await self._shown.value() != alike:
                return await play(emit)
            played = await self._played.value()
            for event in played.events:
                if not isinstance(event, CallsKept):  # they were not made again
                    emit(_of_rollout(event, at))
            return played.trajectory
        self._shown.give(alike)
        events: list[AnyEvent] = []

        def keep(event: AnyEvent) -> None:
            events.append(event)
            emit(event)

        trajectory = await play(keep)
        self._played.give(_Played(trajectory, events))
        return trajectory


def _of_rollout(event: Any, at: PositionId) -> Any:
    """An event of the episode that `PLAYER` played, as one of the rollout at `at`."""
    by = {"played_by": PLAYER} if isinstance(event, EpisodeStarted) else {}
    return msgspec.structs.replace(event, at=at, **by)
