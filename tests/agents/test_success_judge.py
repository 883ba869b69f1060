"""A model that decides whether a task was done: by what was observed, success or failure, or unmeasured."""

import asyncio

import msgspec
import pytest

from engine.agents.executor import Trajectory
from engine.agents.judges.settings import LlmSuccessSettings
from engine.agents.judges.success import decided, open_success_judge, read_again
from engine.agents.judges.success_kind import NoSuccessJudgeSettings
from engine.agents.prompting import Turn
from engine.core.errors import ConfigError
from engine.core.outcomes import FAILED, SUCCEEDED
from engine.environments.base import UNJUDGED
from engine.models.base import Models
from tests.agents.scripted import OUTAGE, Scripted
from tests.agents.test_judge import TASK
from tests.agents.verdicts import success

TURNS = [Turn("I have surely done it.", "open safe", "The safe is open.", False)]
PLAYED = Trajectory(TASK, "A cellar.", TURNS, UNJUDGED)


SETTINGS = LlmSuccessSettings()


async def decision(*answers, settings=SETTINGS, played=PLAYED, **named):
    executor, judge = Scripted(*answers, **named), Scripted(*answers, **named)
    models = Models(executor, Scripted(), judge, executor)
    found = await decided(open_success_judge(settings, models, seed=1), played)
    return found, executor if settings.model == "executor" else judge


@pytest.mark.parametrize("model", ["executor", "judge"])
@pytest.mark.parametrize(("verdict", "outcome"), [("success", SUCCEEDED), ("failure", FAILED)])
async def test_the_verdict_is_the_outcome_of_the_model_that_the_settings_name(model, verdict, outcome):
    found, asked = await decision(success(verdict), settings=LlmSuccessSettings(model=model))
    assert (found.outcome, found.text) == (outcome, success(verdict))
    assert len(asked.asked) == 1
    assert read_again(LlmSuccessSettings(), found.text) == outcome


async def test_only_actions_and_observations_are_shown_and_no_thought():
    _, asked = await decision(success())
    (rules, user), sampling = asked.asked[0]
    assert "Only what the observations confirm counts." in rules.content
    assert "| open safe" in user.content and "| The safe is open." in user.content
    assert "surely" not in user.content and '"verdict"' in sampling.schema


@pytest.mark.parametrize("answer", ["It went well.", success("partial"), success("unclear"), '{"verdict": true}', "{}"])
async def test_what_is_neither_success_nor_failure_is_unmeasured_with_its_text(answer):
    found, asked = await decision("none", answer)
    assert not found.outcome.measured and "the judge's answer cannot be read" in found.outcome.reason
    assert found.text == answer and len(asked.asked) == 2


async def test_an_outage_is_unmeasured_and_no_failure():
    found, _ = await decision(OUTAGE)
    assert found.outcome.reason == f"the judge of success failed: {OUTAGE}"


async def test_a_trajectory_that_does_not_fit_is_unmeasured_since_its_end_alone_proves_nothing():
    found, asked = await decision(success("failure"), limit=20)
    assert "does not fit" in found.outcome.reason and asked.asked == []


async def test_a_judge_that_takes_too_long_is_unmeasured():
    found, _ = await decision(lambda: asyncio.sleep(60), settings=LlmSuccessSettings(deadline_seconds=0.01))
    assert found.outcome.reason == "the judge of success took over 0.01 s"


async def test_a_refused_key_ends_the_run():
    with pytest.raises(ConfigError):
        await decision(ConfigError("the server answers 403"))


def test_none_is_no_judge():
    assert open_success_judge(NoSuccessJudgeSettings(), Models(None, None, None, None), seed=1) is None


async def test_each_trajectory_has_a_draw_of_its_own():
    other = msgspec.structs.replace(PLAYED, turns=[*TURNS, *TURNS])
    _, one = await decision(success())
    _, again = await decision(success())
    _, another = await decision(success(), played=other)
    seeds = [asked.asked[0][1].seed for asked in (one, again, another)]
    assert seeds[0] == seeds[1] != seeds[2]
