"""A run's state as one value, for `skillos-engine status --json` and for lists of runs.

    status(run).state     # "interrupted" when the engine died without ending the run

What was not measured is None (null in JSON), never 0.
"""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec

from engine.config import ConfigError
from engine.core.edit import OPEN
from engine.core.events import (
    Alarm,
    HeldOutMeasured,
    ModelsUsed,
    ModelUse,
    Notice,
    RunStarted,
    State,
    StepEnded,
    UnitEnded,
    UpdateMade,
)
from engine.core.registry import UnknownPart
from engine.core.text import interrupted_while
from engine.jobs.registry import JOBS
from engine.runs.access import full_disk
from engine.runs.agreement import Agreement, agreement
from engine.runs.directory import FINAL_STATES, Run
from engine.runs.held_out import HeldOutChange
from engine.runs.measured import Measured
from engine.runs.measurements import measurements
from engine.runs.process import LOCK_FILE, START_FILE, Engine, EngineProcess, engine_of, recorded, starting
from engine.runs.rows import RunState

ShownState = State | Literal["interrupted"]
WARNINGS = 3
NOTICES = 20
"""How many of the newest notices are looked through for warnings."""
SILENT_SECONDS = 30.0
"""An engine that writes no heartbeat for so long is said to be silent."""
NEW_SECONDS = 60.0
"""How long a new run reads "starting" before any engine was started for it: its creator is about to start one."""


class Status(msgspec.Struct, frozen=True):
    """Where a run is. `step` is the one at work, or the last; `heartbeat_age_s` is None when no engine ever started, and
    negative when a clock was changed.

    `ended` are the summaries of the steps that ended, `units` the ends of units that play no rollouts, and `held_out` the
    results of the fixed evaluation; all exclude what a resume undid. `skipped_updates` maps a step that left weights and
    optimizer as they were to the reason.
    `pending_reviews` counts the edits that wait for a person, those in conflict included. `damaged` says which rows cannot
    be read, and are in none of the others; `read_only` why the run can only be read, "" where it can be written.
    `warnings` are the last warnings that were logged since the last start.
    `agreement` is that of the judge with the rubric; None where no decision was scored by both.
    `note` is that of the run's configuration, and `policy` says who decides on its edits; a list of runs reads neither: ""
    there.
    `engine_note` is "" or a sentence about the engine: from what `state` is inferred where the run's lock could not be
    asked, that the engine is suspended or silent, or who else holds the lock. `used` is what the models were used for.
    `measured` has the newest measurements of memory and servers; None in lists of runs.
    `metrics` are those of the last step that ended, as `skillos-engine metrics --jsonl` writes them, and `alarms` those that
    hold after it; in lists of runs, and before a step has ended, None and empty. `change` compares the newest held-out
    measurement with the first; None below two, and in lists of runs.
    """

    run: str
    path: str
    kind: str
    profile: str
    state: ShownState
    reason: str
    step: int
    steps: int
    ended: list[StepEnded]
    units: list[UnitEnded]
    skipped_updates: dict[int, str]
    held_out: list[HeldOutMeasured]
    pending_reviews: int
    heartbeat_age_s: float | None
    damaged: list[str] = []
    read_only: str = ""
    engine_note: str = ""
    warnings: list[str] = []
    agreement: Agreement | None = None
    note: str = ""
    policy: str = ""
    used: list[ModelUse] = []
    measured: Measured | None = None
    metrics: dict[str, Any] | None = None
    alarms: list[Alarm] = []
    change: HeldOutChange | None = None


def status(run: Run) -> Status:
    """The present status of `run`. Raises `DamagedRun` where the run's state cannot be read."""
    state, ended, edits = run.state(), run.read_ended(), run.edit_states()
    summaries = [row.data for row in ended.values if isinstance(row.data, StepEnded)]
    profile, steps = (state.profile, state.steps) if state.profile else _planned(run)
    shown = shown_state(run)
    reason = _why_interrupted(run, state) if shown == "interrupted" else state.reason
    return Status(
        run=run.id,
        path=str(run.path),
        kind=run.kind,
        profile=profile,
        state=shown,
        reason=reason,
        step=state.step,
        steps=steps,
        ended=summaries,
        units=[row.data for row in ended.values if isinstance(row.data, UnitEnded)],
        skipped_updates={step: made.skipped for step, made in updates(run).items() if made.skipped},
        held_out=[*measurements(run).values()],
        pending_reviews=sum(edit.state in OPEN for edit in edits.values),
        heartbeat_age_s=run.heartbeat_age(),
        damaged=[row.short for row in (*ended.damaged, *edits.damaged)],
        read_only=run.read_only,
        engine_note=_engine_note(run) if state.state not in FINAL_STATES else "",
        warnings=warnings(run),
        agreement=agreement(summaries),
        used=used(run),
    )


def _engine_note(run: Run) -> str:
    engine = engine_of(run.path)
    return engine.note or silence(run, engine)


def silence(run: Run, engine: Engine) -> str:
    """A sentence where a working engine has written no heartbeat for long, with how to end it; "" for any other engine."""
    age = run.heartbeat_age() if engine.works else None
    if age is None or age < SILENT_SECONDS:
        return ""
    pid = engine.process.pid if engine.process is not None and engine.process.alive() else None
    advice = f". If it stays so, kill -9 {pid} ends it, and resume continues from what is saved" if pid else ""
    return (
        f"the engine has written no heartbeat for {age:.0f} s; it may be suspended, or its machine overloaded{advice}"
    )


def used(run: Run) -> list[ModelUse]:
    """What the run's models were used for so far, by role; empty where nothing is logged."""
    newest = run.tail(1, ["models_used"])
    return newest[0].event.models if newest and isinstance(newest[0].event, ModelsUsed) else []


def warnings(run: Run) -> list[str]:
    """The last `WARNINGS` warnings in the log since the last start, oldest first."""
    started = run.tail(1, ["run_started"])
    after = started[0].id if started else 0
    notices = [stored.event for stored in run.tail(NOTICES, ["notice"]) if stored.id > after]
    found = [event.message for event in notices if isinstance(event, Notice) and event.level == "warning"]
    return found[-WARNINGS:]


def updates(run: Run) -> dict[int, UpdateMade]:
    """The updates of a train run by step, without those that a resume undid."""
    found: dict[int, UpdateMade] = {}
    for stored in run.stream(kinds=["run_started", "update_made"]):
        match stored.event:
            case RunStarted(resumed_from=last):
                found = {step: made for step, made in found.items() if step <= last}
            case UpdateMade(step=step) as made:
                found[step] = made
    return found


def shown_state(run: Run) -> ShownState:
    """The state in the run's events, or "interrupted" when no engine works on a run that has not ended.

    An engine that begins holds `engine.lock` before it lets go of `engine.starting`, so they are asked in the other order.
    """
    state = run.state()
    while state.state not in FINAL_STATES and not _launching(run, state) and not run.engine_alive():
        before, state = state, run.state()
        if state == before:
            return "interrupted"
    return state.state


def _why_interrupted(run: Run, state: RunState) -> str:
    """What is known of how the engine ended: what the run waited for then, and that the disk is full now."""
    reason = interrupted_while(state.state, state.reason)
    full = full_disk(run.path)
    return "; ".join(filter(None, (reason, full and f"{full}: free some space, then resume the run")))


def loading(run: Run) -> EngineProcess | None:
    """The process that is loading to become the engine of `run` and does not hold the run's lock yet."""
    process = starting(run.path)
    if process is None or process.pid is None or run.state().state != "starting" or run.engine_alive():
        return None
    return process


def _launching(run: Run, state: RunState) -> bool:
    """Whether the run's engine is still to begin: it is loading, or the run is so new that it will shortly be started."""
    if state.state != "starting":
        return False
    if starting(run.path) is not None:
        return True
    begun = any(recorded(run.path / name) for name in (LOCK_FILE, START_FILE))
    return not begun and state.since is None and 0 <= time.time() - run.created < NEW_SECONDS


def _planned(run: Run) -> tuple[str, int]:
    """Profile and number of steps of a run that no engine has started yet; 0 where its kind is not installed here."""
    try:
        config = run.config
    except ConfigError:
        return "", 0
    try:
        return config.profile, JOBS.load(run.kind).total(config)
    except UnknownPart:
        return config.profile, 0
