"""The executor in an environment that takes any text, has a parser and prompts of its own, and gives a score."""

import pytest

from engine.agents.executor import play
from engine.agents.prompting import Prompts
from engine.agents.settings import ExecutorSettings
from engine.core.errors import ConfigError
from engine.core.outcomes import FAILED, SUCCEEDED, unmeasured
from engine.environments.base import Task
from tests.agents.scripted import Scripted
from tests.environments.free_text import BROKEN, KIND, UNJUDGED, Sums

SUM = Task("sums/40+2", "sums", "Add 40 and 2.")


async def run(*answers, task=SUM, prompts=KIND.prompts, decoding="generate"):
    model = Scripted(*answers)
    settings = ExecutorSettings(decoding=decoding, deadline_seconds=5)
    trajectory = await play(
        Sums(), task, [], kind=KIND, model=model, prompts=Prompts.load(prompts), settings=settings, seed=1
    )
    return trajectory, model


async def test_the_environment_parses_the_answer_and_gives_the_score():
    trajectory, _ = await run("It is [[41]]?", "One more.\n[[42]]")
    assert (trajectory.outcome, trajectory.score) == (SUCCEEDED, 1.0)
    assert [(turn.thought, turn.action, turn.observation) for turn in trajectory.turns] == [
        ("It is", "41", "Wrong."),
        ("One more.", "42", "Right."),
    ]


async def test_where_no_actions_are_listed_only_an_answer_without_an_action_is_invalid():
    trajectory, _ = await run("I do not know.", "[[many]]", "[[42]]")
    assert [turn.action for turn in trajectory.turns] == ["", "many", "42"]
    assert [turn.invalid_action for turn in trajectory.turns] == [True, False, False]


async def test_at_the_step_cap_an_episode_has_failed_with_the_environments_partial_credit():
    trajectory, _ = await run("[[1]]", "[[2]]", "[[41]]")
    assert (trajectory.outcome, trajectory.score) == (FAILED, 0.5)


async def test_at_the_step_cap_without_any_credit_there_is_no_score():
    trajectory, _ = await run("", "", "")
    assert (trajectory.outcome, trajectory.score) == (FAILED, None)


async def test_a_result_that_the_environment_cannot_give_is_unmeasured_with_its_reason_and_ends_the_episode():
    trajectory, _ = await run("[[7]]", task=UNJUDGED)
    assert (trajectory.outcome, trajectory.score) == (unmeasured("the verifier took over 2 s"), None)
    assert len(trajectory.turns) == 1


async def test_a_broken_task_is_unmeasured():
    trajectory, _ = await run(task=BROKEN)
    assert trajectory.outcome == unmeasured("broken task: sums/broken has no numbers")


async def test_its_prompts_come_from_its_own_package():
    _, model = await run("[[41]]", "[[42]]")
    system, user = model.asked[1][0]
    assert system.content == "Answer in a box, such as [[7]]."
    assert user.content == "Add 40 and 2. Wrong. You said 41: Wrong."


@pytest.mark.parametrize("prompts", ["pocket", "standard"])
async def test_the_prompts_that_ship_say_nothing_of_a_list_of_actions(prompts):
    _, model = await run("[[42]]", prompts=prompts)
    text = "\n".join(message.content for message in model.asked[0][0])
    assert "Add 40 and 2." in text and "Answer with a number." in text
    assert "dmissible" not in text and "None" not in text and "copied" not in text


async def test_loglikelihood_decoding_needs_listed_actions():
    with pytest.raises(
        ConfigError, match=r"needs an environment that lists its actions, and sums takes any text: use exec"
    ):
        await run("[[42]]", decoding="loglikelihood")
