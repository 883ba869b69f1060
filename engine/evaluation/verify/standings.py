"""What the edits of a training step say of their rewards, against the rewards of the step's rollouts.

standings = Standings()
checks = standings.take(stored)          # of each event; None where it is of no edit that has a standing
"""

from __future__ import annotations

from engine.core.edit import Edit
from engine.core.events import EditProposed, EditWithheld, PositionId, RolloutScored, StepStarted
from engine.evaluation.verify.report import Checks, Values
from engine.rollouts.rewards import advantages
from engine.runs.log import Stored

KIND = "standings"
"""What a report calls these checks."""


class Standings:
    """The rewards of the newest step, by group and rollout."""

    def __init__(self) -> None:
        self._rewards: dict[tuple[int, int], float | None] = {}

    def take(self, stored: Stored) -> tuple[int, Checks] | None:
        """Take one event. The step and the check of an edit that entered the log with a standing."""
        match stored.event:
            case StepStarted():
                self._rewards = {}
            case RolloutScored(group=group, rollout=rollout, rewards=rewards):
                self._rewards[group, rollout] = rewards.r
            case EditProposed(edit=edit, action="admit") | EditWithheld(edit=edit):
                return self._checked(stored.id, edit)
        return None

    def _checked(self, event_id: int, edit: Edit) -> tuple[int, Checks] | None:
        standing, at = edit.provenance.standing, edit.provenance.position
        if standing is None or at is None:
            return None
        checks = Checks()
        places = (at, *edit.provenance.evidence)
        logged: Values = {
            "r": standing.reward,
            "rollouts": standing.rollouts,
            **{f"A {number}": value for number, value in enumerate(standing.advantages, start=1)},
        }
        again: Values = {
            "r": self._rewards.get((at.group, at.rollout)),
            "rollouts": sum(reward is not None for reward in self._rewards.values()),
            **{f"A {number}": self._advantage(place) for number, place in enumerate(places, start=1)},
        }
        checks.compare(event_id, f"the edit {edit.id} of step {at.step}", KIND, logged, again)
        return at.step, checks

    def _advantage(self, place: PositionId) -> float | None:
        """A of the rollout of a position."""
        row = {rollout: r for (group, rollout), r in self._rewards.items() if group == place.group}
        return dict(zip(row, advantages(list(row.values())), strict=True)).get(place.rollout)
