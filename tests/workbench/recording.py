"""Real run directories for the tests of the workbench: scripted events, written by the real store.

    run = record_training(path, steps=3)       # a training run as an engine would have left it
    add_step(run, 4)                           # and goes on

No engine, no model: what an engine writes is the contract of `engine.core.events`, and these are such events.
"""

from __future__ import annotations

import random
from pathlib import Path

from engine.config import load_profile, to_toml
from engine.core.events import (
    AnyEvent,
    Call,
    CurationMade,
    CurationSkipped,
    EditProposed,
    EpisodeEnded,
    EpisodeStarted,
    GroupDrawn,
    HeldOutMeasured,
    MeasurementStarted,
    MemoryMeasured,
    PositionId,
    Progress,
    RewardBreakdown,
    RolloutScored,
    RunStarted,
    SkillFound,
    StateChanged,
    StepEnded,
    StepStarted,
    TurnTaken,
    UpdateMade,
)
from engine.core.outcomes import FAILED, SUCCEEDED, Outcome, unmeasured
from engine.jobs.registry import JOBS
from engine.runs.directory import Run
from skillos_tui.model.view import RunView

GROUPS, ROLLOUTS, TASKS = 2, 4, 3
THINGS = ("mug", "apple", "towel", "lamp", "kettle")
PLACES = ("safe", "drawer", "shelf", "cupboard", "box")


def skill_text(thing: str, place: str) -> str:
    """A skill file that says where a thing is kept."""
    return (
        f"---\nname: find-{thing}\ndescription: Use when the task is about a {thing}.\n---\n\n"
        f"# Where the {thing} is\n\nIn this house the {thing} is in the {place}.\n\n"
        f"1. Go to the {place}.\n2. Open it if it is closed.\n3. Take the {thing}.\n"
    )


def create(path: Path, kind: str = "train") -> Run:
    """An empty run of the pocket profile."""
    return Run.create(path, kind=kind, config_text=to_toml(load_profile("pocket")))


def training_view() -> RunView:
    """The state of a train run before its first event."""
    return view_of("train")


def view_of(kind: str) -> RunView:
    """The state of a run of this kind before its first event."""
    view = RunView()
    view.identify(kind, JOBS.load(kind))
    return view


def record_training(path: Path, steps: int = 3, *, planned: int = 12, state: str = "finished") -> Run:
    """A training run with some finished steps; step 2 has an unmeasured position."""
    run = create(path)
    run.append(RunStarted(run_kind="train", profile="pocket", steps=planned, pid=1))
    run.append(
        MemoryMeasured(source="/proc/meminfo; no NVIDIA device", total=16 << 30, available=9 << 30, engine=700 << 20)
    )
    for step in range(1, steps + 1):
        add_step(run, step)
    if state != "running":
        run.append(StateChanged(state))
    return run


def add_step(run: Run, step: int) -> None:
    """One whole training step, its proposals included."""
    run.append(*step_events(step))


def step_events(step: int) -> list[AnyEvent]:
    """What an engine writes in one training step."""
    dice = random.Random(step)
    groups = [GroupDrawn(f"g{step}-{g}", f"house-{step}{g}", step * 10 + g, _tasks(step, g)) for g in range(GROUPS)]
    events: list[AnyEvent] = [StepStarted(step, groups)]
    for group in range(GROUPS):
        for rollout in range(ROLLOUTS):
            events += _rollout(step, group, rollout, dice)
    success = min(0.95, 0.3 + 0.03 * step + dice.uniform(-0.05, 0.05))
    parts = RewardBreakdown(success + 0.9, success, 0.6 + 0.01 * step, 0.4, 0.8)
    advantages: list[list[float | None]] = [[0.1, -0.1, 0.0, 0.0] for _ in range(GROUPS)]
    events.append(UpdateMade(step, advantages, 24, 0.01, 0.5, 1.2, None, 3e-3, 2.8))
    events.append(_summary(step, parts))
    events += [proposal(step, at) for at in range(2)]
    return events


def _tasks(step: int, group: int) -> list[str]:
    return [f"put the {THINGS[(step + group + at) % len(THINGS)]} on the table" for at in range(TASKS)]


def _summary(step: int, parts: RewardBreakdown) -> StepEnded:
    lost = 1 if step == 2 else 0
    return StepEnded(
        step=step,
        rewards=parts,
        reward_std=0.12,
        zero_std_groups=1 if step == 1 else 0,
        measured=GROUPS * ROLLOUTS * TASKS - lost,
        unmeasured=lost,
        success_rate=parts.r_task,
        invalid_action_rate=0.031,
        operations={"insert": 20, "update": 2},
        invalid_calls=3,
        episodes=GROUPS * ROLLOUTS * TASKS,
        rollout_seconds=9.0,
        seconds=12.5,
    )


def _rollout(step: int, group: int, rollout: int, dice: random.Random) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    fork: dict[str, str] = {}
    for position in range(1, TASKS + 1):
        at = PositionId(step, group, rollout, position)
        lost = (step, group, rollout, position) == (2, 0, 0, 2)
        won = dice.random() < 0.5
        outcome = unmeasured("the model did not answer in 60 s") if lost else SUCCEEDED if won else FAILED
        events += episode(at, outcome, fork)
        thing, place = THINGS[(step + position) % len(THINGS)], PLACES[(step + rollout) % len(PLACES)]
        if lost:
            events.append(CurationSkipped(at, "the outcome of the task is not known"))
            continue
        fork = {**fork, f"find-{thing}": skill_text(thing, place)}
        calls = [Call("insert", f"find-{thing}", "valid")]
        if position == 2:
            calls.append(Call("update", "find-nothing", "refused", "there is no skill find-nothing"))
        events.append(curation(at, calls, fork))
    events.append(RolloutScored(step, group, rollout, RewardBreakdown(1.2, 0.5, 0.66, 0.4, 0.8), TASKS, 0))
    return events


def episode(at: PositionId, outcome: Outcome, skills: dict[str, str] | None = None) -> list[AnyEvent]:
    """An episode of two turns; the second action was invalid."""
    thing = THINGS[(at.step + at.position) % len(THINGS)]
    found = [SkillFound(name, 2.31) for name in sorted(skills or {})[:3]]
    return [
        EpisodeStarted(
            at=at,
            task=f"task-{at.step}-{at.position}",
            family=f"house-{at.step}{at.group}",
            prompt=f"put the {thing} on the table",
            skills=found,
            observation="You are in the hall. Places: safe, drawer, shelf, cupboard, box, table.",
            max_turns=9,
        ),
        TurnTaken(at, 1, f"find {thing}: safe", "go safe", "The safe is closed.", False),
        TurnTaken(at, 2, "open it", "open safe", f"The safe is open. You see a {thing}.", True),
        EpisodeEnded(at, outcome, 2, 1),
    ]


def curation(at: PositionId, calls: list[Call], repo: dict[str, str]) -> CurationMade:
    """The curator's answer after an episode."""
    return CurationMade(
        at=at,
        completion="<tool_call>…</tool_call>",
        calls=calls,
        prompt_tokens=412,
        completion_tokens=74,
        finish="stop",
        repo=repo,
        repo_tokens=60 * len(repo),
        judge=0.4,
    )


def proposal(step: int, number: int, *, edit: str = "", after: str | None = None) -> EditProposed:
    """An edit for the review queue, from the first group's best rollout."""
    thing = THINGS[(step + number) % len(THINGS)] + ("" if step < 5 else f"-{step}")
    return EditProposed(
        edit=edit or f"s{step}-{number}",
        at=PositionId(step, 0, 1, number + 1),
        operation="insert",
        skill=f"find-{thing}",
        new_name="",
        before=None,
        after=after if after is not None else skill_text(thing, PLACES[step % len(PLACES)]),
        task=f"put the {thing} on the table",
        outcome=SUCCEEDED,
        reason=f"The {thing} was found only after three places had been searched.",
        checks=["parses", "applies to the run's repository"],
    )


HELD_OUT_GROUPS = 4


def measuring_events(step: int, done: int, *, seconds: float = 5.0) -> list[AnyEvent]:
    """The held-out measurement after `step` updates, as far as `done` of its episodes; they come position by position."""
    groups = [GroupDrawn(f"h{g}", f"held-out-house-{g}", 9000 + g, _tasks(step, g)) for g in range(HELD_OUT_GROUPS)]
    total = HELD_OUT_GROUPS * TASKS
    events: list[AnyEvent] = [
        MeasurementStarted(step, groups),
        Progress("measuring", done=0, total=total, unit="episodes", seconds=0.0),
    ]
    for number in range(1, done + 1):
        position, group = divmod(number - 1, HELD_OUT_GROUPS)
        at = PositionId(step, group, 0, position + 1, held_out=True)
        events += episode(at, SUCCEEDED if group % 2 else FAILED)
        events.append(curation(at, [Call("insert", "held-out-skill", "valid")], {"held-out-skill": "never proposed"}))
        events.append(Progress("measuring", "", number, total, "episodes", seconds * number / total))
    return events


def measured(step: int, r_task: float | None = 0.4) -> HeldOutMeasured:
    """The end of a held-out measurement."""
    return HeldOutMeasured(step, HELD_OUT_GROUPS, r_task, 0.05 if r_task is not None else None, 0, 5.0)
