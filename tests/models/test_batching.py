"""An error of a batch reaches each of its requests as what it is."""

import asyncio

import pytest
import torch

from engine.core.holds import Holds, TimedOut
from engine.core.lockstep import Lockstep
from engine.models.base import Message, ModelUnavailable, NotFinite, PromptTooLong, Sampling
from engine.models.local.batching import Batcher, WholeBatch
from engine.models.local.models import LocalModels
from tests.models import small

CHAT = [Message("user", "where?")]


@pytest.mark.parametrize("error", [NotFinite("judge"), PromptTooLong(9, 5), ModelUnavailable("the device is gone")])
async def test_an_error_for_users_stays_what_it_is_and_each_request_gets_its_own(error):
    def fail(batch):
        raise error

    batcher = Batcher(lambda key: WholeBatch(fail), 8)
    raised = await asyncio.gather(*(batcher.ask("key", n, urgent=False) for n in range(3)), return_exceptions=True)
    assert len(set(map(id, raised))) == 3
    for each in raised:
        assert (type(each), str(each), vars(each)) == (type(error), str(error), vars(error))
        assert each.__cause__ is error


async def test_a_bug_is_a_runtime_error_that_names_it():
    def fail(batch):
        raise KeyError("token")

    with pytest.raises(RuntimeError, match="the model failed on a batch: KeyError: 'token'"):
        await Batcher(lambda key: WholeBatch(fail), 8).ask("key", 1, urgent=False)


async def test_a_device_without_memory_left_is_an_outage_with_a_sentence():
    """The allocation is real: torch refuses it at once, whatever memory the machine has."""
    base = small.base()
    base.register_forward_pre_hook(lambda module, given: torch.empty(2**60))
    local = LocalModels(base, small.tokenizer(), context=512)
    with pytest.raises(
        ModelUnavailable, match=r"cpu has no memory left for a batch of 1 for the executor: lower model\.max"
    ):
        await local.executor.complete(CHAT, Sampling(max_tokens=3))


async def test_the_judge_is_the_base_without_the_adapter():
    local = LocalModels(small.with_adapter(small.base()), small.tokenizer(), context=512)
    greedy = Sampling(temperature=0, max_tokens=8)
    judge, executor, curator = [
        (await model.complete(CHAT, greedy)).text for model in (local.models.judge, local.executor, local.curator)
    ]
    assert judge == executor != curator


async def test_a_deadline_that_passes_while_requests_wait_loosens_no_lockstep():
    """What answers began inside of the phase, and goes on after it."""
    holds, said = Holds(), []
    lockstep = Lockstep(holds, said.append)
    batcher = Batcher(lambda key: WholeBatch(lambda batch: [job for job in batch]), 8)
    computing = lockstep.member(0)

    async def ask(number):
        with lockstep.member(number):
            async with holds.timeout(60):
                return await batcher.ask("key", 1, urgent=False)

    async with holds.phase("the rollouts", 0.05):
        with pytest.raises(TimedOut):
            await ask(1)
    asking = asyncio.create_task(ask(2))
    await asyncio.sleep(0.05)
    assert not asking.done() and not lockstep.loose and said == []
    lockstep.left(computing)
    await asyncio.wait_for(asking, 5)
