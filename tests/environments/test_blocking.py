"""An environment that blocks runs in a thread of its episode, and holds up nothing else."""

import asyncio
import threading
import time

import msgspec
import pytest

from engine.agents.executor import play
from engine.agents.prompting import Prompts
from engine.agents.settings import ExecutorSettings
from engine.core.errors import PartFault
from engine.core.outcomes import SUCCEEDED
from engine.environments.base import Task, TaskSourceError
from tests.agents.scripted import Scripted
from tests.environments.free_text import KIND, Sum, Sums

BLOCKING = msgspec.structs.replace(KIND, blocks=True)
TASK = Task("sums/40+2", "sums", "Add 40 and 2.")


class Slow(Sums):
    """Sums whose `method` takes `seconds`, and which note the thread of each call."""

    def __init__(self, method="step", seconds=0.3, error=None):
        super().__init__()
        self.threads = []
        self._slow, self._seconds, self._error = method, seconds, error

    def start(self, task):
        self._note("start")
        environment = Sum(task)
        for name in ("reset", "step", "result"):
            setattr(environment, name, self._noted(name, getattr(environment, name)))
        return environment

    def _noted(self, name, function):
        def call(*given):
            self._note(name)
            return function(*given)

        return call

    def _note(self, name):
        self.threads.append(threading.current_thread())
        if name == self._slow:
            time.sleep(self._seconds)
            if self._error:
                raise self._error


async def played(source, *answers, seconds=5.0, kind=BLOCKING):
    return await play(
        source,
        TASK,
        [],
        kind=kind,
        model=Scripted(*answers),
        prompts=Prompts.load(KIND.prompts),
        settings=ExecutorSettings(deadline_seconds=seconds),
        seed=1,
    )


@pytest.mark.parametrize("method", ["start", "reset", "step", "result"])
async def test_the_event_loop_and_other_episodes_continue_meanwhile(method):
    ticks, longest = 0, 0.0

    async def tick():
        nonlocal ticks, longest
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.01)
            ticks, longest = ticks + 1, max(longest, time.perf_counter() - began)

    ticking = asyncio.create_task(tick())
    began = time.perf_counter()
    many = await asyncio.gather(*[played(Slow(method, 1.0), "[[42]]") for _ in range(20)])
    ticking.cancel()
    assert {trajectory.outcome for trajectory in many} == {SUCCEEDED}
    assert longest < 0.9 and ticks > 5
    assert time.perf_counter() - began < 20 * 1.0 / 2  # one after another they would take 20 s


async def test_all_calls_of_an_episode_are_made_in_one_thread_of_its_own():
    source = Slow("", 0)
    await played(source, "[[41]]", "[[42]]")
    (thread,) = set(source.threads)
    assert thread is not threading.current_thread()
    thread.join(5)
    assert not thread.is_alive()


async def test_without_blocks_every_call_is_made_on_the_event_loop():
    source = Slow("", 0)
    await played(source, "[[42]]", kind=KIND)
    assert set(source.threads) == {threading.current_thread()}


@pytest.mark.parametrize("method", ["start", "step"])
async def test_a_call_that_hangs_is_given_up_at_the_episodes_deadline(method):
    source = Slow(method, 3.0)
    began = time.perf_counter()
    trajectory = await played(source, "[[41]]", seconds=0.2)
    assert trajectory.outcome.reason == "the episode took over 0.2 s"
    assert time.perf_counter() - began < 2
    assert all(thread.daemon for thread in source.threads)  # none delays the end of the process


async def test_errors_arrive_as_without_a_thread():
    trajectory = await played(Slow("step", 0, TaskSourceError("no index")), "[[41]]")
    assert trajectory.outcome.reason == "broken task: no index"
    with pytest.raises(PartFault, match=r"has a bug in step .*: KeyError: 'x'"):
        await played(Slow("step", 0, KeyError("x")), "[[41]]")
