"""The curator's decision: one call, capped, and an outage that says so."""

import pytest

from engine.agents import curator
from engine.agents.executor import Trajectory
from engine.agents.prompting import Prompts, SkillShown, Turn, Veto
from engine.agents.settings import CuratorSettings
from engine.core.outcomes import SUCCEEDED
from engine.environments.base import Task
from engine.models.base import ModelUnavailable
from tests.agents.scripted import OUTAGE, Scripted

TASK = Task("t", "f", "Get a mug.")
TURNS = [Turn("", f"go place{n}", "It is empty.", False) for n in range(8)] + [
    Turn("", "go safe", "The mug is in the safe.", False)
]
TRAJECTORY = Trajectory(TASK, "You are in the hall.", TURNS, SUCCEEDED)


SKILLS = [SkillShown(name, "Where it is kept.", f"{name} " * 30) for name in ("best", "worst")]
VETOES = [Veto(name, f"{name} " * 30) for name in ("newest", "oldest")]


async def decide(model, skills=(), vetoes=()):
    return await curator.decide(
        TRAJECTORY, skills, vetoes, model=model, prompts=Prompts.load("pocket"), settings=CuratorSettings(), seed=1
    )


async def test_a_decision_is_one_call_in_the_curators_role():
    model = Scripted("nothing to do")
    decision = await decide(model)
    assert decision.completion.text == "nothing to do"
    assert len(model.asked) == 1


async def test_a_trajectory_over_the_cap_loses_its_oldest_turns_and_says_so():
    model = Scripted("ok", limit=40)
    await decide(model)
    shown = model.asked[0][0][-1].content
    assert "go safe" in shown and "go place0" not in shown
    assert "earlier turns are left out" in shown


@pytest.mark.parametrize(
    ("skills", "vetoes", "left_out"),
    [
        (SKILLS[:1], VETOES, ("worst",)),
        ([], VETOES, ("best", "worst")),
        ([], VETOES[:1], ("best", "worst", "oldest")),
        ([], [], ("best", "worst", "newest", "oldest")),
    ],
)
async def test_then_the_lowest_ranked_skills_are_left_out_and_then_the_oldest_vetoes(skills, vetoes, left_out):
    """Long skills never make a decision unmeasured."""
    last_turn = "Curate. Get a mug. …: 8 earlier turns are left out. go safe: The mug is in the safe. Result: succeeded"
    text = " ".join(
        [*(f"{s.name}: {s.description} {s.body}" for s in skills), *(f"Vetoed {v.skill}: {v.reason}" for v in vetoes)]
    )
    model = Scripted("ok", limit=len(last_turn.split()) + len(text.split()))
    decision = await decide(model, SKILLS, VETOES)
    shown = "".join(message.content for message in decision.messages)
    assert "go safe" in shown and "earlier turns are left out" in shown
    assert [name for name in ("best", "worst", "newest", "oldest") if name not in shown] == list(left_out)
    assert decision.shown == [skill.name for skill in skills]
    assert (decision.dropped_turns, decision.dropped_vetoes) == (8, len(VETOES) - len(vetoes))


async def test_a_decision_with_room_for_all_says_that_nothing_was_left_out():
    decision = await decide(Scripted("ok"), SKILLS, VETOES)
    assert (decision.shown, decision.dropped_turns, decision.dropped_vetoes) == (["best", "worst"], 0, 0)


async def test_no_room_at_all_and_an_outage_are_both_unavailable():
    with pytest.raises(ModelUnavailable, match="no trajectory fits"):
        await decide(Scripted(limit=2), SKILLS, VETOES)
    with pytest.raises(ModelUnavailable, match="connection refused"):
        await decide(Scripted(OUTAGE))
