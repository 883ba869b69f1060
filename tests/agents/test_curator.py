"""The curator's decision: one call, capped, and an outage that says so."""

import pytest

from engine.agents import curator
from engine.agents.executor import Trajectory
from engine.agents.prompting import Prompts, Turn
from engine.config import Curator
from engine.environments.contract import Task
from engine.models.contract import ModelUnavailable
from engine.outcomes import SUCCEEDED
from tests.agents.scripted import OUTAGE, Scripted

TASK = Task("t", "f", "Get a mug.")
TURNS = [Turn("", f"go place{n}", "It is empty.", False) for n in range(8)] + [
    Turn("", "go safe", "The mug is in the safe.", False)
]
TRAJECTORY = Trajectory(TASK, "You are in the hall.", TURNS, SUCCEEDED)


async def decide(model):
    return await curator.decide(
        TRAJECTORY, [], [], model=model, prompts=Prompts.load("pocket"), settings=Curator(), seed=1
    )


async def test_a_decision_is_one_call_in_the_curators_role():
    model = Scripted("nothing to do")
    decision = await decide(model)
    assert decision.completion.text == "nothing to do"
    assert [role for role, _, _ in model.asked] == ["curator"]


async def test_a_trajectory_over_the_cap_loses_its_oldest_turns_and_says_so():
    model = Scripted("ok", limit=40)
    await decide(model)
    shown = model.asked[0][1][-1].content
    assert "go safe" in shown and "go place0" not in shown
    assert "earlier turns are left out" in shown


async def test_no_room_at_all_and_an_outage_are_both_unavailable():
    with pytest.raises(ModelUnavailable, match="no trajectory fits"):
        await decide(Scripted(limit=2))
    with pytest.raises(ModelUnavailable, match="connection refused"):
        await decide(Scripted(OUTAGE))
