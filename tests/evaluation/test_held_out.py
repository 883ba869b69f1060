"""The fixed evaluation: every group once, what was not measured told and left out, the same seed the same result."""

import msgspec
import pytest

from engine.agents.executor import SEEDS_AN_EPISODE
from engine.config import load_profile
from engine.core.seeds import seed_of
from engine.environments.household.source import HouseholdTasks
from engine.evaluation.held_out import FIRST_SEED, RepositoryScore, evaluate
from engine.models.local.models import LocalModels
from engine.models.local.tokenizer import load_tokenizer
from engine.models.local.weights import load_base
from engine.rollouts.context import RolloutContext
from engine.skills import SkillRepo
from tests.training.answering import DOWN, Answering, call, skill

GROUPS, TASKS = 2, 3


class FirstGroupDown(Answering):
    """No answer to the executor in the first held-out group."""

    async def complete(self, name, messages, sampling):
        down = {seed_of("play", FIRST_SEED, number) for number in range(1, TASKS + 1)}
        if name == "executor" and sampling.seed // SEEDS_AN_EPISODE in down:
            raise DOWN
        return await super().complete(name, messages, sampling)


def agents(models, **executor):
    config = load_profile("pocket")
    training = msgspec.structs.replace(config.training, tasks=TASKS, rollouts=4)
    settings = msgspec.structs.replace(config.executor, **executor)
    config = msgspec.structs.replace(config, training=training, executor=settings)
    return RolloutContext.open(config, HouseholdTasks(), models)


def answering(**roles):
    return agents(Answering(**roles).models, decoding="generate")


async def test_each_group_is_one_rollout_and_its_edits_are_counted():
    """One rollout a group, whatever the training's N."""
    players = answering(curator=lambda asked: call("insert_skill", skill_name=f"s{asked}", content=skill(f"s{asked}")))
    result = await evaluate(players, GROUPS)
    assert result.groups == GROUPS
    assert result.operations == {"insert": GROUPS * TASKS}
    assert result.unmeasured == 0
    assert result.r_task == 0.0 and result.rewards.r_fc == 1.0
    assert result.standard_error == 0.0


async def test_what_was_not_measured_is_none_and_counted_and_never_zero():
    result = await evaluate(answering(executor=lambda asked: DOWN), GROUPS)
    assert result.r_task is None and result.rewards.r is None and result.standard_error is None
    assert result.unmeasured == GROUPS * TASKS
    assert result.operations == {}


async def test_a_group_without_a_measured_task_counts_neither_in_the_mean_nor_in_its_error():
    result = await evaluate(agents(FirstGroupDown().models, decoding="generate"), GROUPS)
    assert result.unmeasured == TASKS
    assert result.r_task == 0.0
    assert result.standard_error is None


async def test_one_group_has_no_standard_error():
    result = await evaluate(answering(), 1)
    assert result.r_task == 0.0
    assert result.standard_error is None


async def test_seeds_vary_the_curators_draws_and_never_the_groups():
    one, again, other = (Answering() for _ in range(3))
    for answers, seed in ((one, 0), (again, 0), (other, 1)):
        await evaluate(agents(answers.models, decoding="generate"), GROUPS, seed=seed)
    for role, same in (("executor", True), ("curator", False)):
        seeds = [sorted(answers.seeds(role)) for answers in (one, again, other)]
        assert seeds[0] == seeds[1]
        assert (seeds[0] == seeds[2]) is same


async def test_the_shipped_model_gets_the_same_result_from_the_same_seed():
    config = load_profile("pocket").model
    players = agents(LocalModels(load_base(config), load_tokenizer(config)).models)
    result = await evaluate(players, GROUPS)
    assert result.unmeasured == 0
    assert result.r_task is not None and 0 <= result.r_task <= 1
    again = await evaluate(players, GROUPS)
    assert again.operations == result.operations
    assert msgspec.structs.astuple(again.rewards) == pytest.approx(msgspec.structs.astuple(result.rewards))


async def test_a_repository_is_scored_on_the_held_out_groups_without_curation():
    model, repo = Answering(), SkillRepo.of({"mugs": skill("mugs", "Get each thing: mugs are in the safe.")})
    config = load_profile("pocket", ["training.evaluate_groups=2", "training.tasks=3"])
    context = RolloutContext.open(config, HouseholdTasks(), model.models)
    measure = RepositoryScore(context)
    assert model.asked == []
    assert await measure(repo) == 0.0
    assert {name for name, _, _ in model.asked} == {"executor"} and list(repo) == ["mugs"]
    model._answer["executor"] = lambda asked: DOWN
    assert await measure(repo) is None
