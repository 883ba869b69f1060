"""A run's state as one value, for `skillos-engine status --json` and for lists of runs.

    status(run).state     # "interrupted" when the engine died without ending the run

What was not measured is None (null in JSON), never 0.
"""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from engine.config import ConfigError
from engine.runs.events import RunKind, State, StepEnded
from engine.runs.owed import measurements
from engine.runs.process import START_SECONDS, engine_of
from engine.runs.store import FINAL_STATES, Run, RunState

ShownState = State | Literal["interrupted"]


class StepRewards(msgspec.Struct, frozen=True):
    """A finished step: rewards averaged over its rollouts, `spread` of r inside groups, counts of positions.

    What was lost is told as in `StepEnded`: positions without a decision, shortened prompts, skills in no prompt.
    """

    step: int
    r: float | None
    r_task: float | None
    r_fc: float | None
    r_cnt: float | None
    r_comp: float | None
    spread: float | None
    measured: int
    unmeasured: int
    coercion_rate: float | None
    operations: dict[str, int]
    skipped_curations: int
    shortened: int
    dropped_skills: int


class HeldOutResult(msgspec.Struct, frozen=True):
    """The fixed evaluation after `step` updates; `standard_error` is over its groups, `unmeasured` counts positions."""

    step: int
    groups: int
    r_task: float | None
    standard_error: float | None
    unmeasured: int


class Status(msgspec.Struct, frozen=True):
    """Where a run is. `step` is the one at work, or the last; `heartbeat_age_s` is None when no engine ever started."""

    run: str
    path: str
    kind: RunKind
    profile: str
    state: ShownState
    reason: str
    step: int
    steps: int
    rewards: list[StepRewards]
    held_out: list[HeldOutResult]
    pending_reviews: int
    heartbeat_age_s: float | None


def status(run: Run) -> Status:
    """The present status of `run`."""
    state = run.state()
    profile, steps = (state.profile, state.steps) if state.profile else _planned(run)
    return Status(
        run=run.id,
        path=str(run.path),
        kind=run.kind,
        profile=profile,
        state=shown_state(run),
        reason=state.reason,
        step=state.step,
        steps=steps,
        rewards=[_rewards(step) for step in run.steps()],
        held_out=_held_out(run),
        pending_reviews=run.count_edits("pending"),
        heartbeat_age_s=run.heartbeat_age(),
    )


def _held_out(run: Run) -> list[HeldOutResult]:
    return [
        HeldOutResult(event.step, event.groups, event.r_task, event.standard_error, event.unmeasured)
        for event in measurements(run).values()
    ]


def shown_state(run: Run) -> ShownState:
    """The state that the run's events tell, or "interrupted" when its engine died without ending the run."""
    alive = run.engine_alive()
    state = run.state()
    return state.state if alive or state.state in FINAL_STATES or _launching(run, state) else "interrupted"


def _launching(run: Run, state: RunState) -> bool:
    """Whether an engine was started so shortly ago that it need not have taken the run's lock yet."""
    began = state.since or run.created
    engine = engine_of(run.path)
    taken = engine is not None and engine.since >= began
    return state.state == "starting" and not taken and time.time() - began < START_SECONDS


def _planned(run: Run) -> tuple[str, int]:
    """Profile and number of steps of a run that no engine has started yet."""
    try:
        config = run.config
    except ConfigError:
        return "", 0
    return config.profile, config.training.steps if run.kind == "train" else config.curate.tasks


def _rewards(ended: StepEnded) -> StepRewards:
    return StepRewards(
        step=ended.step,
        r=ended.parts.r,
        r_task=ended.parts.r_task,
        r_fc=ended.parts.r_fc,
        r_cnt=ended.parts.r_cnt,
        r_comp=ended.parts.r_comp,
        spread=ended.spread,
        measured=ended.measured,
        unmeasured=ended.unmeasured,
        coercion_rate=ended.coercion_rate,
        operations=ended.operations,
        skipped_curations=ended.skipped_curations,
        shortened=ended.shortened,
        dropped_skills=ended.dropped_skills,
    )
