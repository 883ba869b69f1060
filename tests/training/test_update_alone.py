"""While the optimiser writes nobody reads, whatever became of the requests before: times out, stopped, cancelled, failed."""

import asyncio
import threading

import pytest
import torch

from engine.jobs.control import Control, StopRequested
from engine.models.base import Message, Sampling
from engine.training.trainer import GrpoSession
from tests.models import small
from tests.training import by_hand
from tests.training.test_trainer import Stop, config, idle, samples
from tests.training.test_update import CLOSE, REWARDS, adapter_of, advantages_of

LONG = Sampling(temperature=1.0, max_tokens=10_000, seed=3)
SECONDS = 60


class Watched:
    """A session whose generation stands still at a forward pass until it is let go, and the order of what happened."""

    def __init__(self, path, play, *, steps=1, after_step=idle):
        base = small.base()
        self.order = []
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.session = GrpoSession(
            config(steps=steps),
            *small.lent(base),
            checkpoints=path,
            play=play,
            after_update=idle,
            after_step=after_step,
        )
        self.first = adapter_of(self.session)
        base.register_forward_pre_hook(self._generating, with_kwargs=True)
        base.register_forward_hook(self._ended, with_kwargs=True)
        self.update = self.session.updater.loss
        self.session.updater.loss = self._updating

    def _generating(self, module, arguments, named):
        if torch.is_inference_mode_enabled():
            self.order.append("a token begins")
            self.reached.set()
            assert self.go_on.wait(SECONDS)

    def _ended(self, module, arguments, named, output):
        if torch.is_inference_mode_enabled():
            self.order.append("a token ends")

    def _updating(self, rows, seen):
        self.order.append("update")
        return self.update(rows, seen)

    async def asking(self, role, way):
        """A request that has been given up in mid-token, whose thread goes on a while after."""
        messages, model = [Message("user", "where is the mug?")], self.session._base
        if way == "complete":
            request = getattr(model, role).complete(messages, LONG)
        else:
            request = getattr(model, role).loglikelihood(messages, "", ["go", "look around"])
        task = asyncio.create_task(request)
        assert await asyncio.to_thread(self.reached.wait, SECONDS)
        asyncio.get_running_loop().call_later(0.1, self.go_on.set)
        return task


@pytest.mark.parametrize("way", ["complete", "score"])
@pytest.mark.parametrize("role", ["executor", "curator"])
async def test_the_update_begins_after_the_last_token_of_what_timed_out(tmp_path, role, way):
    """With the adapter off, as the executor has it, the loss would not even have a gradient."""

    async def play(step):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SECONDS) as limit:
                task = await watched.asking(role, way)
                limit.reschedule(asyncio.get_running_loop().time())
                await task
        return samples(step, REWARDS[0])

    watched = Watched(tmp_path, play)
    await asyncio.wait_for(watched.session.run(None), SECONDS)
    assert watched.order == ["a token begins", "a token ends", "update", "update"]
    made = [(samples(1, REWARDS[0]), advantages_of(REWARDS[0]))]
    expected = by_hand.updated(watched.first, made, by_hand.Settings())
    assert by_hand.distance(adapter_of(watched.session), expected) < CLOSE


async def test_what_is_asked_during_the_update_is_answered_by_the_new_adapter(tmp_path):
    """A request of nobody's step waits for the optimiser, and is answered then."""
    asked, answers = [], []

    async def play(step):
        return samples(step, REWARDS[0])

    async def after_step(step, checkpoint):
        answers.append(await asyncio.wait_for(asked[0], SECONDS))

    watched = Watched(tmp_path, play, after_step=after_step)
    watched.go_on.set()
    session, loop = watched.session, asyncio.get_running_loop()
    short = Sampling(max_tokens=3)
    begin = watched.update

    def ask_then_update(rows, seen):
        if not asked:
            messages = [Message("user", "where?")]
            asked.append(asyncio.run_coroutine_threadsafe(ask(messages), loop).result(SECONDS))
        return begin(rows, seen)

    async def ask(messages):
        task = asyncio.create_task(session._base.curator.complete(messages, short))
        await asyncio.sleep(0.05)
        return task

    watched.update = ask_then_update
    await asyncio.wait_for(session.run(None), SECONDS)
    assert watched.order[:3] == ["update", "update", "a token begins"]
    again = await session._base.curator.complete([Message("user", "where?")], short)
    assert answers[0].tokens.completion_ids == again.tokens.completion_ids


@pytest.mark.parametrize("how", ["an error", "a group of tasks", "a stop", "the session is cancelled"])
async def test_however_a_session_ends_in_mid_token_nothing_works_on_its_model_after(tmp_path, how):
    control = Control(lambda state, reason: None)

    async def play(step):
        task = await watched.asking("executor", "complete")
        if how == "a group of tasks":
            async with asyncio.TaskGroup() as group:
                group.create_task(wait_for(task))
                group.create_task(fail())
        elif how == "a stop":
            asyncio.get_running_loop().call_later(0.05, control.stop)
            await control.interruptible(wait_for(task))
        elif how == "an error":
            task.cancel()
            raise Stop
        else:
            asyncio.get_running_loop().call_later(0.05, running.cancel)
            await task

    async def wait_for(task):
        await task

    async def fail():
        raise Stop

    watched = Watched(tmp_path, play)
    running = asyncio.create_task(watched.session.run(None))
    ends = {"a stop": StopRequested, "an error": Stop, "a group of tasks": BaseExceptionGroup}
    with pytest.raises(ends.get(how, asyncio.CancelledError)):
        await asyncio.wait_for(asyncio.shield(running), SECONDS)
    assert watched.order == ["a token begins", "a token ends"]
    assert by_hand.distance(adapter_of(watched.session), watched.first) == 0
    assert not watched.session._base._batcher._turn.locked()
    assert not [thread for thread in threading.enumerate() if "train" in thread.name]


async def test_a_measurement_that_is_interrupted_after_a_step_leaves_the_model_alone_too(tmp_path):
    control = Control(lambda state, reason: None)

    async def play(step):
        return samples(step, REWARDS[0])

    async def after_step(step, checkpoint):
        async def measure():
            asked = await watched.asking("curator", "complete")
            control.stop()
            await asked

        await control.interruptible(measure())

    watched = Watched(tmp_path, play, steps=2, after_step=after_step)
    with pytest.raises(StopRequested):
        await asyncio.wait_for(watched.session.run(None), SECONDS)
    assert watched.order == ["update", "update", "a token begins", "a token ends"]
    assert (tmp_path / "step-0001" / "optimizer.pt").exists()


async def test_cancelled_in_mid_update_and_more_than_once_the_session_ends_at_the_next_micro_batch(tmp_path):
    played = []

    async def play(step):
        played.append(step)
        return samples(step, REWARDS[0])

    watched = Watched(tmp_path, play, steps=3)
    loop, begin = asyncio.get_running_loop(), watched.update

    def cancel_then_update(rows, seen):
        for _ in range(3):
            asyncio.run_coroutine_threadsafe(cancel(), loop).result(SECONDS)
        return begin(rows, seen)

    async def cancel():
        running.cancel()
        await asyncio.sleep(0)

    watched.update = cancel_then_update
    running = asyncio.create_task(watched.session.run(None))
    with pytest.raises(asyncio.CancelledError):
        await running
    await watched.session._base.idle(SECONDS)
    assert played == [1] and watched.order == ["update"]
    assert by_hand.distance(adapter_of(watched.session), watched.first) == 0
