"""A run's switches: a pause takes effect between steps, a stop at once, and a fault beside the work is not lost."""

import asyncio

import pytest

from engine.jobs.control import Control, StopRequested


@pytest.fixture
def told():
    return []


@pytest.fixture
def control(told):
    return Control(lambda state, reason: told.append(state))


async def soon(task):
    """Let other tasks run; whether `task` is done then."""
    await asyncio.sleep(0.01)
    return task.done()


async def test_the_gate_is_open_unless_a_pause_is_asked_for(control, told):
    await control.gate()
    control.pause()
    control.resume()
    await control.gate()
    assert told == []


async def test_a_paused_run_waits_at_the_gate_until_it_is_resumed(control, told):
    control.pause()
    passing = asyncio.create_task(control.gate())
    assert not await soon(passing)
    assert told == ["paused"]
    control.resume()
    await asyncio.wait_for(passing, 5)
    assert told == ["paused", "running"]


async def test_a_pause_does_not_break_into_the_work(control):
    begun = asyncio.Event()

    async def work():
        begun.set()
        await asyncio.sleep(0.02)
        return "whole"

    working = asyncio.create_task(control.interruptible(work()))
    await begun.wait()
    control.pause()
    assert await asyncio.wait_for(working, 5) == "whole"


async def test_a_stop_cancels_the_work_and_waits_until_it_has_cleaned_up(control):
    begun, cleaned = asyncio.Event(), asyncio.Event()

    async def work():
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            cleaned.set()

    working = asyncio.create_task(control.interruptible(work()))
    await begun.wait()
    control.stop()
    with pytest.raises(StopRequested):
        await asyncio.wait_for(working, 5)
    assert cleaned.is_set()


async def test_a_stop_reaches_a_paused_run_which_does_not_say_that_it_runs(control, told):
    control.pause()
    passing = asyncio.create_task(control.gate())
    assert not await soon(passing)
    control.stop()
    with pytest.raises(StopRequested):
        await asyncio.wait_for(passing, 5)
    assert told == ["paused"]


async def test_after_a_stop_nothing_begins(control):
    control.stop()
    with pytest.raises(StopRequested):
        await control.gate()


async def test_a_fault_beside_the_work_ends_it_with_that_fault(control):
    control.fail(OSError("the run directory is gone"))
    with pytest.raises(OSError, match="is gone"):
        await control.gate()
    with pytest.raises(OSError, match="is gone"):
        await asyncio.wait_for(control.interruptible(asyncio.sleep(60)), 5)


async def test_what_the_work_raises_is_raised(control):
    async def work():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await control.interruptible(work())


async def test_work_with_a_grace_may_end_after_a_stop_but_not_hang():
    control = Control(lambda state, reason: None)
    control.stop()
    assert await control.interruptible(asyncio.sleep(0.01, "ended"), grace=5.0) == "ended"
    with pytest.raises(StopRequested):
        await control.interruptible(asyncio.sleep(60), grace=0.01)
