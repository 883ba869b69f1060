"""A run's switches: a pause takes effect between steps, a stop at once, and a fault beside the work is not lost."""

import asyncio

import pytest

from engine.core.errors import SkillosError
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


@pytest.fixture
def states():
    return []


@pytest.fixture
def held(states):
    return Control(lambda state, reason: states.append((state, reason)))


async def test_a_hold_pauses_the_run_in_the_middle_of_its_work_and_its_end_shows_the_work_again(held, states):
    held.running("measuring on 32 groups")
    held.holds.hold("server", "the server is away")
    held.holds.hold("server", "the server refuses")
    held.holds.lift("server")
    assert states == [
        ("running", "measuring on 32 groups"),
        ("paused", "the server is away"),
        ("paused", "the server refuses"),
        ("running", "measuring on 32 groups"),
    ]


async def test_a_hold_while_the_run_loads_does_not_make_it_run(held, states):
    held.holds.hold("server", "away")
    held.holds.lift("server")
    assert states == [("paused", "away"), ("starting", "")]


async def test_work_that_changes_while_something_holds_is_shown_when_it_goes_on(held, states):
    held.running("measuring")
    held.holds.hold("memory", "short")
    held.running()
    held.holds.lift("memory")
    assert states == [("running", "measuring"), ("paused", "short"), ("running", "")]


async def test_a_person_pauses_and_resumes_while_something_holds(held, states):
    held.running("training")
    held.holds.hold("server", "away")
    held.pause()
    passing = asyncio.create_task(held.gate())
    assert not await soon(passing)
    held.resume()
    await asyncio.wait_for(passing, 5)
    assert states[-1] == ("paused", "away")  # the hold is not the person's to end
    held.holds.lift("server")
    assert states[-1] == ("running", "training")


async def test_a_run_that_a_person_paused_stays_paused_when_a_hold_ends(held, states):
    held.running("training")
    held.pause()
    passing = asyncio.create_task(held.gate())
    assert not await soon(passing)
    held.holds.hold("server", "away")
    held.holds.lift("server")
    assert states == [("running", "training"), ("paused", ""), ("paused", "away"), ("paused", "")]
    held.resume()
    await asyncio.wait_for(passing, 5)
    assert states[-1] == ("running", "training")


async def test_a_pause_that_waits_for_the_end_of_the_step_does_not_hide_a_hold(held, states):
    held.running()
    held.pause()
    held.holds.hold("server", "away")
    held.holds.lift("server")
    assert states == [("running", ""), ("paused", "away"), ("running", "")]


async def test_to_resume_raises_a_cap_and_goes_on(held, states):
    asked = []
    held.running()
    held.holds.hold("limits", "the cap is reached", on_resume=lambda: asked.append("more"))
    held.resume()
    assert asked == ["more"] and states[-1] == ("running", "")


async def test_a_stop_in_the_middle_of_a_hold_ends_at_once_and_is_not_overwritten(held, states):
    held.running()
    held.holds.hold("server", "away")
    working = asyncio.create_task(held.interruptible(held.holds.passed()))
    assert not await soon(working)
    held.stop()
    with pytest.raises(StopRequested):
        await asyncio.wait_for(working, 1)
    held.holds.lift("server")
    assert states == [("running", ""), ("paused", "away")]


async def test_a_log_that_takes_no_events_ends_the_run_from_a_hold_too():
    def full(state, reason):
        raise SkillosError("the disk is full")

    control = Control(full)
    working = asyncio.create_task(control.interruptible(asyncio.sleep(60)))
    await asyncio.sleep(0)
    control.holds.hold("server", "away")
    with pytest.raises(SkillosError, match="the disk is full"):
        await asyncio.wait_for(working, 1)


async def test_a_stop_after_the_unit_lets_the_work_end_and_shuts_the_next_gate(control, told):
    control.running()
    work = asyncio.create_task(control.interruptible(asyncio.sleep(0.02, "whole")))
    control.stop_after("ann", "step")
    assert await work == "whole" and control.ending and told == ["running", "running"]
    with pytest.raises(StopRequested, match="asked by ann to stop after the step"):
        await control.gate()


async def test_a_paused_run_has_ended_its_unit_so_it_stops_at_once(control):
    control.pause()
    passing = asyncio.create_task(control.gate())
    assert not await soon(passing)
    control.stop_after("ann", "step")
    with pytest.raises(StopRequested):
        await asyncio.wait_for(passing, 5)


async def test_a_resume_takes_the_stop_after_the_unit_back(control):
    control.running()
    control.stop_after("ann", "step")
    control.resume()
    assert not control.ending
    await asyncio.wait_for(control.gate(), 5)
