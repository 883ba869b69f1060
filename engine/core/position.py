"""Where in a run something happened."""

from __future__ import annotations

import msgspec


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
