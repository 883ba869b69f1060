"""The groups, rollouts and positions of one step or measurement. No turn and no decision is read.

    step = read_step(run, span)
    step.groups[0].rollouts[2].positions[3].outcome
    step.groups[0].mean, step.groups[0].spread, step.groups[0].best

Of an episode that a new engine plays again, the newest counts.
"""

from __future__ import annotations

from statistics import fmean, pstdev

import msgspec

from engine.core.events import (
    CurationSkipped,
    EpisodeEnded,
    EpisodeStarted,
    GroupDrawn,
    MeasurementStarted,
    PositionId,
    RewardBreakdown,
    RolloutScored,
    StepStarted,
    UpdateMade,
)
from engine.core.outcomes import Outcome
from engine.core.position import Spot, spot_at
from engine.runs.directory import Run
from engine.runs.rollouts.spans import Span

KINDS = (
    "step_started",
    "measurement_started",
    "episode_started",
    "episode_ended",
    "curation_skipped",
    "rollout_scored",
    "update_made",
)
MAX_TASK = 300
"""Characters of a task's text that are kept here."""


class PositionRow(msgspec.Struct, gc=False):
    """One position. `outcome` is None while it is played; `skipped` is why the curator was not asked, "" where it was.

    `task` is the beginning of the task's text. `played_by` is the rollout whose episode it is; None: this one played it.
    `first` and `last` are the events of the episode's beginning and end.
    """

    at: PositionId
    task: str
    family: str
    first: int
    skills: int = 0
    played_by: int | None = None
    outcome: Outcome | None = None
    turns: int = 0
    invalid: int = 0
    score: float | None = None
    skipped: str = ""
    last: int = 0

    @property
    def spot(self) -> Spot:
        """The place of the position."""
        return spot_at(self.at)


class RolloutRow(msgspec.Struct, gc=False):
    """One rollout: its positions by number, its rewards (None: not scored), its advantage (None: no update, or none for
    it), and how many of its positions were measured."""

    number: int
    positions: dict[int, PositionRow] = {}
    rewards: RewardBreakdown | None = None
    advantage: float | None = None
    measured: int = 0
    unmeasured: int = 0

    @property
    def r(self) -> float | None:
        """The reward; None where it was not measured, or not yet."""
        return self.rewards.r if self.rewards else None


class GroupRow(msgspec.Struct, gc=False):
    """One group: what was drawn (None where the log does not say), and its rollouts by number."""

    number: int
    drawn: GroupDrawn | None = None
    rollouts: dict[int, RolloutRow] = {}

    @property
    def rewards(self) -> list[float]:
        """The measured rewards."""
        return [rollout.r for rollout in self.rollouts.values() if rollout.r is not None]

    @property
    def mean(self) -> float | None:
        """The mean of r over the measured rollouts."""
        return fmean(self.rewards) if self.rewards else None

    @property
    def spread(self) -> float | None:
        """The population standard deviation of r; None below two measured rollouts."""
        return pstdev(self.rewards) if len(self.rewards) > 1 else None

    @property
    def best(self) -> int | None:
        """The rollout with the highest r, the first of equal ones; None without a measured one."""
        known = [(rollout.r, -number) for number, rollout in self.rollouts.items() if rollout.r is not None]
        return -max(known)[1] if known else None

    @property
    def tasks(self) -> int:
        """How many positions a rollout has."""
        played = max((max(rollout.positions, default=0) for rollout in self.rollouts.values()), default=0)
        return max(len(self.drawn.tasks) if self.drawn else 0, played)


class StepRows(msgspec.Struct):
    """A step or a measurement, its groups by number. `updated`: its update is in the log."""

    span: Span
    groups: dict[int, GroupRow] = {}
    updated: UpdateMade | None = None

    def group(self, spot: Spot) -> GroupRow | None:
        """The group of a spot."""
        return self.groups.get(spot.group) if spot.group is not None else None

    def rollout(self, spot: Spot) -> RolloutRow | None:
        """The rollout of a spot."""
        group = self.group(spot)
        return group.rollouts.get(spot.rollout) if group and spot.rollout is not None else None

    def position(self, spot: Spot) -> PositionRow | None:
        """The position of a spot."""
        rollout = self.rollout(spot)
        return rollout.positions.get(spot.position) if rollout and spot.position is not None else None


def read_step(run: Run, span: Span) -> StepRows:
    """The rows of a step. Raises `RunError`."""
    step = StepRows(span)
    for stored in run.stream(span.first - 1, KINDS, span.last or None):
        event = stored.event
        match event:
            case EpisodeStarted() | EpisodeEnded() | CurationSkipped():
                if (event.at.held_out, event.at.step) == span.key:
                    _episode(step, stored.id, event)
            case RolloutScored() if not span.held_out and event.step == span.step:
                rollout = _rollout(step, event.group, event.rollout)
                rollout.rewards, rollout.measured, rollout.unmeasured = event.rewards, event.measured, event.unmeasured
            case UpdateMade() if not span.held_out and event.step == span.step:
                step.updated = event
            case StepStarted() | MeasurementStarted() if event.step == span.step:
                for number, drawn in enumerate(event.groups):
                    _group(step, number).drawn = drawn
    _add_advantages(step)
    return step


def _episode(step: StepRows, number: int, event: EpisodeStarted | EpisodeEnded | CurationSkipped) -> None:
    positions = _rollout(step, event.at.group, event.at.rollout).positions
    if isinstance(event, EpisodeStarted):
        task = " ".join(event.prompt[: MAX_TASK * 2].split())[:MAX_TASK]
        positions[event.at.position] = PositionRow(
            event.at, task, event.family, number, len(event.skills), event.played_by
        )
    elif (row := positions.get(event.at.position)) is not None:
        if isinstance(event, EpisodeEnded):
            row.outcome, row.turns, row.invalid = event.outcome, event.turns, event.invalid_actions
            row.score, row.last = event.score, number
        else:
            row.skipped = event.reason


def _group(step: StepRows, number: int) -> GroupRow:
    return step.groups.setdefault(number, GroupRow(number))


def _rollout(step: StepRows, group: int, number: int) -> RolloutRow:
    return _group(step, group).rollouts.setdefault(number, RolloutRow(number))


def _add_advantages(step: StepRows) -> None:
    """Give the rollouts the advantages of the step's update."""
    if step.updated is None:
        return
    for group, row in enumerate(step.updated.advantages):
        for number, advantage in enumerate(row):
            if group in step.groups and number in step.groups[group].rollouts:
                step.groups[group].rollouts[number].advantage = advantage
