"""The local backend as the sink and the policy of a trainer: the curator that answers is the adapter that was published."""

import asyncio
import threading

import pytest
import torch
from peft import LoraConfig, get_peft_model

from engine.core.errors import ConfigError
from engine.models.base import Message, NotPublished, Sampling
from engine.models.local.models import LocalModels
from tests.models import small

GREEDY = Sampling(temperature=0, max_tokens=12)
ASK = [Message("user", "where is the mug?")]


@pytest.fixture(scope="module")
def words():
    return small.tokenizer()


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    """The folders of two adapters of the small base."""
    folders = [tmp_path_factory.mktemp("adapter") for _ in range(2)]
    for seed, folder in enumerate(folders):
        small.with_adapter(small.base(), seed).save_pretrained(str(folder))
    return folders


@pytest.fixture
def local(words):
    return LocalModels(small.base(), words)


def lora():
    return LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")


def change_one(network):
    """One number of the adapter on `network`."""
    with torch.no_grad():
        next(weight for name, weight in network.named_parameters() if "lora_B" in name).view(-1)[0] += 1.0


async def test_a_published_adapter_answers_with_its_version_and_the_executor_stays_the_base(local, words, adapters):
    untrained = await local.curator.complete(ASK, GREEDY)
    assert untrained.version == 0
    for number, folder in enumerate(adapters):
        await local.publish(folder, version=number + 7)
        curator, executor = await local.curator.complete(ASK, GREEDY), await local.executor.complete(ASK, GREEDY)
        alone = LocalModels(small.with_adapter(small.base(), number), words)
        assert curator.tokens == (await alone.curator.complete(ASK, GREEDY)).tokens
        assert curator.tokens != untrained.tokens == executor.tokens
        assert (curator.version, executor.version) == (number + 7, 0)


async def test_a_lent_base_is_the_one_that_was_loaded_whatever_was_published_before(local, adapters):
    await local.publish(adapters[0], version=7)
    base = local.lend()
    expected = dict(small.base().named_parameters())
    assert {name for name, _ in base.named_parameters()} == set(expected)
    assert all(torch.equal(weight, expected[name]) for name, weight in base.named_parameters())
    local.serve(get_peft_model(base, lora()))
    assert (await local.curator.complete(ASK, GREEDY)).version == 0


async def test_what_a_trainer_publishes_is_compared_and_not_loaded(local, tmp_path):
    trained = small.with_adapter(local.lend())
    local.serve(trained)
    trained.save_pretrained(str(tmp_path))
    weights = {name: weight.clone() for name, weight in trained.named_parameters()}
    await local.publish(tmp_path, version=3)
    assert (await local.curator.complete(ASK, GREEDY)).version == 3
    assert all(torch.equal(weight, weights[name]) for name, weight in trained.named_parameters())


async def test_an_adapter_that_is_not_the_one_that_answers_is_refused(local, tmp_path, adapters):
    trained = small.with_adapter(local.lend())
    local.serve(trained)
    trained.save_pretrained(str(tmp_path))
    change_one(trained)
    with pytest.raises(
        NotPublished, match=rf"does not have the weights in {tmp_path}: 1 of 28 tensors differ, the first is .*lora_B"
    ):
        await local.publish(tmp_path, version=3)
    assert (await local.curator.complete(ASK, GREEDY)).version == 0


async def test_a_policy_that_serves_no_adapter_cannot_publish_one(local, adapters):
    local.serve(local.lend())
    with pytest.raises(NotPublished, match="it has no adapter"):
        await local.publish(adapters[0], version=1)


async def test_a_folder_without_an_adapter_is_refused_with_its_path(local, tmp_path):
    with pytest.raises(ConfigError, match=f"the adapter {tmp_path} cannot be loaded"):
        await local.publish(tmp_path, version=1)


async def test_publishing_waits_for_the_batch_in_work_and_the_next_one_has_the_new_adapter(local, adapters):
    reached, go_on = threading.Event(), threading.Event()

    def wait(module, given, named):
        reached.set()
        assert go_on.wait(60)

    hook = local.network.register_forward_pre_hook(wait, with_kwargs=True)
    before = asyncio.create_task(local.curator.complete(ASK, GREEDY))
    await asyncio.to_thread(reached.wait, 60)
    publishing = asyncio.create_task(local.publish(adapters[0], version=1))
    after = asyncio.create_task(local.curator.complete(ASK, GREEDY))
    await asyncio.sleep(0.05)
    assert not publishing.done()
    hook.remove()
    go_on.set()
    await asyncio.wait_for(publishing, 60)
    assert ((await before).version, (await after).version) == (0, 1)
