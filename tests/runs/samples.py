"""Events as an engine writes them, for the tests of this package."""

from __future__ import annotations

from engine.core.events import EditProposed, PositionId, RewardBreakdown, StepEnded, StepStarted, TurnTaken
from engine.core.outcomes import SUCCEEDED

CONFIG = 'profile = "pocket"\n\n[training]\nsteps = 3\n'


def turn(number: int) -> TurnTaken:
    return TurnTaken(PositionId(step=1), number, "think", f"go box {number}", "You are at the box.", False)


def step_started(step: int) -> StepStarted:
    return StepStarted(step, [])


def step_ended(step: int, *, r: float | None = 1.25, r_cnt: float | None = None) -> StepEnded:
    return StepEnded(
        step=step,
        rewards=RewardBreakdown(r=r, r_task=0.5, r_fc=0.75, r_cnt=r_cnt, r_comp=0.9),
        reward_std=0.125,
        zero_std_groups=0,
        measured=8,
        unmeasured=1,
        success_rate=0.5,
        invalid_action_rate=0.02,
        operations={"insert": 3},
        invalid_calls=1,
        episodes=9,
        rollout_seconds=1.5,
        seconds=2.0,
    )


def proposed(edit: str, *, skill: str = "heat-things") -> EditProposed:
    return EditProposed(
        edit=edit,
        at=PositionId(step=1),
        operation="insert",
        skill=skill,
        new_name="",
        before=None,
        after=f"---\nname: {skill}\ndescription: d\n---\nbody\n",
        task="task-1",
        outcome=SUCCEEDED,
        reason="seen to work",
        checks=[],
    )
