"""The decoding choice: the model writes one of the listed actions, in the form of an answer."""

import msgspec
import pytest

from engine.agents.executor import CannotChoose, play
from engine.agents.prompting import Prompts
from engine.config import ConfigError, load_profile
from engine.core.outcomes import SUCCEEDED
from tests.agents.scripted import Choosing, Scoring
from tests.agents.test_executor_loglikelihood import KIND, SETTINGS, TASK, Maze

CHOICE = msgspec.structs.replace(SETTINGS, decoding="choice", temperature=0.5, thinking="off", min_p=0.1, stop=("\n",))


async def run(model, kind=KIND):
    prompts = Prompts.load("pocket")
    return await play(Maze(), TASK, [], kind=kind, model=model, prompts=prompts, settings=CHOICE, seed=3)


async def test_the_answer_is_one_of_the_untried_actions_in_the_environments_form():
    model = Choosing("go rack", "go hall", "go box", "take mug")
    trajectory = await run(model, msgspec.structs.replace(KIND, answer_form=("Action: ", ".")))
    assert trajectory.outcome == SUCCEEDED
    assert [turn.action for turn in trajectory.turns] == ["go rack", "go hall", "go box", "take mug"]
    assert model.offered[0] == ["Action: go box.", "Action: go rack."]
    assert model.offered[2] == ["Action: go box."]  # "go rack" was taken at this view


async def test_the_sampling_is_the_settings_with_a_seed_for_each_turn_and_no_stop():
    model = Choosing("go box", "take mug")
    await run(model)
    drawn = [sampling for _, sampling in model.asked]
    assert [sampling.seed for sampling in drawn] == [3000, 3001]
    assert {(one.temperature, one.min_p, one.thinking, one.stop) for one in drawn} == {(0.5, 0.1, False, ())}


async def test_a_model_that_cannot_be_constrained_ends_the_work_with_a_sentence():
    with pytest.raises(CannotChoose, match=r"executor\.decoding=choice needs a model that can be constrained"):
        await run(Scoring())


async def test_an_answer_that_was_not_offered_is_unmeasured():
    trajectory = await run(Choosing("fly"))
    assert trajectory.outcome.kind == "unmeasured" and "none of the texts" in trajectory.outcome.reason


def test_texts_that_end_an_answer_may_have_line_breaks_and_are_never_empty():
    assert load_profile("pocket", [r'executor.stop=["\n\n", "Task:"]']).executor.stop == ("\n\n", "Task:")
    for wrong in ('[""]', '["\\u0007"]', '"Task:"'):
        with pytest.raises(ConfigError, match=r"executor\.stop"):
            load_profile("pocket", [f"executor.stop={wrong}"])
