"""A session publishes each step's adapter while it holds the models, and ends where that is refused."""

import asyncio

import pytest
import torch

from engine.models.base import Message, NotPublished, Sampling
from engine.training.trainer import GrpoSession
from tests.models import small
from tests.training.test_trainer import config, idle, playing, samples

REWARDS = [1.0, 3.0, 0.25, 0.5]
ASK = [Message("user", "where?")]
SHORT = Sampling(max_tokens=3)


class Recording:
    """The local backend's sink; keeps the order of what is published, and whether the models were held meanwhile."""

    def __init__(self, local, order):
        self.local, self.order = local, order

    async def publish(self, adapter, version):
        self.order.append(("published", adapter.name, version, self.local._batcher._turn.locked()))
        return await self.local.publish(adapter, version)


class Refusing:
    async def publish(self, adapter, version):
        raise NotPublished(f"the server does not answer with {adapter.name}")


def session_of(path, local, sink, play, *, after_step=idle, steps=2):
    torch.manual_seed(3)
    return GrpoSession(
        config(steps=steps), local, sink, checkpoints=path, play=play, after_update=idle, after_step=after_step
    )


async def test_each_adapter_is_published_before_anything_is_asked_of_it(tmp_path):
    (local, _), order = small.lent(), []

    async def play(step):
        order.append(("played by", (await local.curator.complete(ASK, SHORT)).version))
        return samples(step, REWARDS)

    async def after_step(step, checkpoint):
        order.append(("measured", (await local.curator.complete(ASK, SHORT)).version))

    await session_of(tmp_path, local, Recording(local, order), play, after_step=after_step).run(None)
    assert order == [
        ("played by", 0),
        ("published", "step-0001", 1, True),
        ("measured", 1),
        ("played by", 1),
        ("published", "step-0002", 2, True),
        ("measured", 2),
    ]


async def test_a_resumed_session_publishes_its_checkpoint_before_it_plays(tmp_path):
    (first, sink), order = small.lent(), []
    await session_of(tmp_path, first, sink, playing(REWARDS), steps=1).run(None)
    local, _ = small.lent()

    async def play(step):
        order.append(("played by", (await local.curator.complete(ASK, SHORT)).version))
        return samples(step, REWARDS)

    await session_of(tmp_path, local, Recording(local, order), play).run(tmp_path / "step-0001")
    assert order == [("published", "step-0001", 1, True), ("played by", 1), ("published", "step-0002", 2, True)]


async def test_a_session_whose_adapter_is_not_served_ends_there_and_lets_the_models_go(tmp_path):
    local, _ = small.lent()
    played = []

    async def play(step):
        played.append(step)
        return samples(step, REWARDS)

    with pytest.raises(NotPublished, match="the server does not answer with step-0001"):
        await session_of(tmp_path, local, Refusing(), play).run(None)
    assert played == [1] and (tmp_path / "step-0001").exists()
    await asyncio.wait_for(local.executor.complete(ASK, SHORT), 20)
