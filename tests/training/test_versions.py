"""A sample is trained on only where the adapter that answered is the one that is updated."""

import asyncio

import msgspec
import pytest
import torch

from engine.jobs.control import Control, StopRequested
from engine.jobs.train.publishing import BoundedSink
from engine.models.base import Completion, Tokens, Usage
from engine.runs.errors import RunError
from engine.training.samples import TrainingSample, _sample, is_stale, without_stale
from engine.training.trainer import GrpoSession
from tests.models import small
from tests.training.test_trainer import config, idle, samples

REWARDS = [1.0, 3.0, 0.25, 0.5]


def test_a_sample_has_the_version_of_its_completion():
    completion = Completion("a", "stop", Usage(1, 1), Tokens([1], [2], [-0.5]), version=7)
    assert _sample(completion, 0.5) == TrainingSample([1], [2], [-0.5], [1], 0.5, 7)


def test_samples_of_another_version_are_masked_and_counted():
    def sample(version, mask):
        return TrainingSample([1], [2, 3], [-0.5, -0.5], [mask, mask], 1.0, version)

    kept, stale = without_stale([sample(3, 1), sample(2, 1), sample(None, 0), sample(2, 0)], 3)
    assert stale == 1 and [one.mask for one in kept] == [[1, 1], [0, 0], [0, 0], [0, 0]]
    assert kept[1].reward == 1.0 and not any(is_stale(one, 3) for one in kept)


async def test_a_session_refuses_samples_of_another_version(tmp_path):
    local, sink = small.lent()

    async def play(step):
        return [msgspec.structs.replace(sample, version=5) for sample in samples(step, REWARDS)]

    torch.manual_seed(3)
    session = GrpoSession(
        config(steps=1), local, sink, checkpoints=tmp_path, play=play, after_update=idle, after_step=idle
    )
    with pytest.raises(RunError, match=r"samples were answered by another curator than that of step 0"):
        await session.run(None)


async def test_a_stop_ends_a_publication_that_waits_for_a_server(tmp_path):
    class Waiting:
        async def publish(self, adapter, version):
            await asyncio.Event().wait()

    control = Control(lambda state, reason: None)
    publishing = asyncio.create_task(BoundedSink(Waiting(), control, 0).publish(tmp_path, 1))
    await asyncio.sleep(0)
    control.stop()
    with pytest.raises(StopRequested):
        await asyncio.wait_for(publishing, 5)
