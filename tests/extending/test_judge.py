"""A judge of a package: it answers later, or not at all, and what it does not score is unmeasured."""

import asyncio

import msgspec
import pytest

from engine.agents.judges.base import JudgedDecision, Judgement, WrongJudgement, judged, open_judge
from engine.config import load_profile
from engine.core.errors import SkillosError
from engine.core.events import CurationMade, StepStarted
from engine.environments.household.source import HouseholdTasks
from engine.evaluation.verify import verify
from engine.models.base import NotFinite
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import open_grouping
from engine.rollouts.rollout import collect
from engine.rollouts.summary import score_rollouts
from tests.agents.test_judge import PLAYED
from tests.extending.installed import install
from tests.training.answering import Answering, call, skill, stored


class Failed(SkillosError):
    """An error of the judge's own."""


async def judgement(answer, seconds=30.0):
    class Saying:
        async def score(self, decision, trajectory):
            return await answer()

    return await judged(Saying(), JudgedDecision([], ""), PLAYED, seconds=seconds)


async def test_a_judge_that_takes_too_long_leaves_the_decision_unmeasured():
    assert await judgement(lambda: asyncio.sleep(60), 0.01) == Judgement(None, "the judge took over 0.01 s")


async def test_a_judges_own_error_leaves_the_decision_unmeasured_with_its_message():
    async def fail():
        raise Failed("the judge's server is down")

    assert await judgement(fail) == Judgement(None, "the judge failed: the judge's server is down")


async def test_an_outage_leaves_the_decision_unmeasured():
    async def fail():
        raise ConnectionRefusedError("connection refused")

    assert await judgement(fail) == Judgement(None, "the judge failed: connection refused")


async def test_what_is_no_judgement_ends_the_run_with_a_sentence():
    async def answer():
        return 0.5

    with pytest.raises(WrongJudgement, match=r"the judge gave 0\.5, which is no Judgement"):
        await judgement(answer)


@pytest.mark.parametrize("score", [-0.1, 1.5, float("nan")])
async def test_a_score_that_is_none_leaves_the_decision_unmeasured(score):
    async def answer():
        return Judgement(score)

    assert await judgement(answer) == Judgement(None, f"the judge's score {score} is not in [0, 1]")


async def test_a_missing_score_always_has_a_reason():
    async def answer():
        return Judgement(None)

    assert (await judgement(answer)).reason == "the judge gave neither a score nor a reason"


@pytest.mark.parametrize("error", [NotFinite("judge"), ZeroDivisionError()])
async def test_a_damaged_model_and_a_bug_end_the_run(error):
    async def fail():
        raise error

    with pytest.raises(type(error)):
        await judgement(fail)


async def test_the_content_reward_is_the_mean_of_what_was_judged(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "skillos.judges", moody="tests.extending.toys.judge:KIND")
    config = load_profile(
        "pocket",
        ["judge.kind=moody", "training.groups=1", "training.rollouts=2", "training.tasks=4"],
    )
    written = call("insert_skill", skill_name="a-skill", content=skill("a-skill"))
    model, log = Answering(curator=lambda asked: written), [StepStarted(1, [])]
    context = RolloutContext.open(config, HouseholdTasks(), model.models)
    groups = open_grouping(config.grouping).groups(context.source, config.training, 1)
    rollouts = await collect(groups, step=1, context=context, vetoes=[], emit=log.append)
    parts = score_rollouts(rollouts, config.rewards, log.append)
    made = [event for event in log if isinstance(event, CurationMade)]
    assert {(event.judge, event.judge_reason) for event in made} == {(0.75, ""), (None, "no mood")}
    for index, part in enumerate(parts[0]):
        scores = [event.judge for event in made if event.at.rollout == index and event.judge is not None]
        assert part.r_cnt == (0.75 if scores else None)
    report = verify(stored(log), config, "train")
    assert report.differences == []
    assert report.unchecked["judge"] == {"this judge is not rule-based": 8}


async def test_a_rollout_of_which_nothing_was_judged_has_no_reward(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "skillos.judges", moody="tests.extending.toys.judge:KIND")
    config = load_profile("pocket", ["judge.kind=moody"])
    judge = open_judge(config.judge, None, seed=1)
    first = await judged(judge, JudgedDecision([], ""), PLAYED, seconds=5)
    assert (first.score, first.reason) == (None, "no mood")
    assert msgspec.to_builtins(config)["judge"] == {"kind": "moody", "deadline_seconds": 60.0}
