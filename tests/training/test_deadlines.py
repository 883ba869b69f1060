"""The deadlines of an update and of a publication: the run ends with what to do, and is resumed at the same place."""

import asyncio

import msgspec
import pytest

from engine.jobs.control import Control
from engine.jobs.train.publishing import BoundedSink
from engine.models.base import Message, NotPublished, Sampling
from engine.runs.errors import RunError
from engine.system.settings import LimitsSettings
from engine.training.trainer import GrpoSession
from tests.models import small
from tests.training.test_trainer import config, idle, playing

REWARDS = [1.0, 3.0, 0.25, 0.5]


class Hanging:
    """A server that takes an adapter and does not answer with it."""

    async def publish(self, adapter, version):
        await asyncio.Event().wait()


def session_of(path, local, sink, **limits):
    own = msgspec.structs.replace(config(), limits=LimitsSettings(**limits))
    play = playing(REWARDS)
    return GrpoSession(own, local, sink, checkpoints=path, play=play, after_update=idle, after_step=idle)


def control():
    return Control(lambda state, reason: None)


async def test_an_update_that_takes_too_long_ends_the_run_before_its_step_is_saved_and_lets_the_models_go(tmp_path):
    local, sink = small.lent()
    with pytest.raises(
        RunError, match=r"the update of step 1 took over 0\.001 s .*update_deadline_seconds\): raise it"
    ):
        await session_of(tmp_path, local, sink, update_deadline_seconds=0.001).run(None)
    assert not (tmp_path / "step-0001").exists()
    await asyncio.wait_for(local.executor.complete([Message("user", "where?")], Sampling(max_tokens=3)), 20)
    again, sink = small.lent()
    await session_of(tmp_path, again, sink, update_deadline_seconds=0).run(None)
    assert (tmp_path / "step-0001").exists()


async def test_an_adapter_that_does_not_answer_in_time_ends_the_run_and_is_published_again_when_it_is_resumed(tmp_path):
    local, sink = small.lent()
    with pytest.raises(NotPublished, match=r"step 1 did not answer within 0\.05 s .*publish_deadline_seconds"):
        await session_of(tmp_path, local, BoundedSink(Hanging(), control(), 0.05)).run(None)
    again, sink = small.lent()
    await session_of(tmp_path, again, BoundedSink(sink, control(), 60)).run(tmp_path / "step-0001")
    answer = await again.curator.complete([Message("user", "where?")], Sampling(max_tokens=3))
    assert answer.version == 1


async def test_the_deadline_of_a_publication_stands_still_while_the_run_is_held(tmp_path):
    held = control()
    held.holds.hold("server", "the server is away")
    publishing = asyncio.create_task(BoundedSink(Hanging(), held, 0.05).publish(tmp_path, 1))
    await asyncio.sleep(0.2)
    assert not publishing.done()
    held.holds.lift("server")
    with pytest.raises(NotPublished):
        await asyncio.wait_for(publishing, 5)
