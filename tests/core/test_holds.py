"""What makes a run wait: holds by name, time limits that stand still meanwhile, and what a person may end."""

import asyncio
import time

import pytest

from engine.core.holds import Holds, TimedOut


@pytest.fixture
def holds():
    return Holds()


async def soon(task):
    """Let other tasks run; whether `task` is done then."""
    await asyncio.sleep(0.02)
    return task.done()


async def test_requests_pass_until_something_holds_and_again_when_all_is_lifted(holds):
    await asyncio.wait_for(holds.passed(), 1)
    holds.hold("server", "the server is away")
    holds.hold("memory", "memory is short")
    passing = asyncio.create_task(holds.passed())
    holds.lift("server")
    assert not await soon(passing)
    holds.lift("memory")
    await asyncio.wait_for(passing, 1)


async def test_a_hold_in_the_turn_of_the_lift_before_it_still_holds(holds):
    holds.hold("server", "away")
    passing = asyncio.create_task(holds.passed())
    assert not await soon(passing)
    holds.lift("server")
    holds.hold("server", "away again")
    assert not await soon(passing)
    holds.lift("server")
    await asyncio.wait_for(passing, 1)


async def test_who_holds_may_pass_its_own_hold_but_no_other(holds):
    holds.hold("server", "away")
    await asyncio.wait_for(holds.passed(besides="server"), 1)
    holds.hold("memory", "short")
    passing = asyncio.create_task(holds.passed(besides="server"))
    assert not await soon(passing)
    holds.lift("memory")
    await asyncio.wait_for(passing, 1)


async def test_the_reasons_are_joined_each_once_and_changes_are_told_once(holds):
    told = []
    holds.on_change = lambda: told.append(holds.reason)
    holds.hold("a", "the server is away")
    holds.hold("b", "the server is away")
    holds.hold("a", "the server is away")
    holds.hold("c", "memory is short")
    holds.lift("b")
    holds.lift("c")
    holds.lift("never")
    holds.lift("a")
    assert told == [
        "the server is away",
        "the server is away; memory is short",
        "the server is away",
        "",
    ]


async def test_a_time_limit_stands_still_while_anything_holds(holds):
    async def work():
        async with holds.timeout(0.1):
            await asyncio.sleep(60)

    working = asyncio.create_task(work())
    await asyncio.sleep(0.05)
    holds.hold("server", "away")
    await asyncio.sleep(0.3)
    assert not working.done()
    holds.lift("server")
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await working
    assert 0.02 < time.monotonic() - began < 0.2  # what was left of it


async def test_a_time_limit_that_begins_while_something_holds_runs_from_the_lift(holds):
    holds.hold("server", "away")

    async def work():
        async with holds.timeout(0.05):
            await asyncio.sleep(60)

    working = asyncio.create_task(work())
    assert not (await soon(working)) and not (await soon(working)) and not (await soon(working))
    holds.lift("server")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(working, 5)


async def test_the_shorter_of_nested_limits_expires_after_a_hold(holds):
    expired = []

    async def work():
        async with holds.timeout(30) as outer:
            try:
                async with holds.timeout(0.05) as inner:
                    await asyncio.sleep(60)
            except TimeoutError:
                expired.append((outer.expired(), inner.expired()))

    working = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    holds.hold("server", "away")
    await asyncio.sleep(0.1)
    holds.lift("server")
    await asyncio.wait_for(working, 5)
    assert expired == [(False, True)]


async def test_a_hold_does_not_revive_a_limit_that_has_expired(holds):
    async def work():
        async with holds.timeout(0.02):
            await asyncio.sleep(60)

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    time.sleep(0.05)  # noqa: ASYNC251  the limit is over before the loop could say so
    holds.hold("server", "away")
    assert not await soon(working)  # and the hold came first
    holds.lift("server")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(working, 1)
    holds.hold("server", "away")  # nothing is left of it
    holds.lift("server")


async def test_work_is_cancelled_in_the_middle_of_a_hold(holds):
    async def work():
        async with holds.timeout(30):
            await holds.passed()

    holds.hold("server", "away")
    working = asyncio.create_task(work())
    assert not await soon(working)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(working, 1)
    holds.lift("server")


async def test_time_that_a_task_waits_for_its_turn_does_not_count_for_its_own_limits_alone(holds):
    async def waits():
        async with holds.timeout(0.1):
            with holds.uncounted():
                await asyncio.sleep(0.3)
            await asyncio.sleep(0.01)

    async def works():
        async with holds.timeout(0.1):
            await asyncio.sleep(0.3)

    waiting, working = asyncio.create_task(waits()), asyncio.create_task(works())
    with pytest.raises(TimeoutError):
        await working
    await waiting


async def test_a_limit_runs_again_only_when_neither_a_hold_nor_a_wait_stops_it(holds):
    async def work():
        async with holds.timeout(0.05) as limit:
            with holds.uncounted():
                with holds.uncounted():
                    assert limit.when() is None
                assert limit.when() is None
                holds.hold("server", "away")
            assert limit.when() is None
            with holds.uncounted():
                holds.lift("server")
                assert limit.when() is None
            assert limit.when() is not None

    await asyncio.wait_for(work(), 5)


async def test_a_person_ends_the_holds_that_may_be_ended(holds):
    asked = []
    holds.hold("server", "away")
    holds.hold("cap", "the cap is reached", on_resume=lambda: asked.append("more"))
    holds.resume()
    assert asked == ["more"] and holds.reason == "away"


async def test_who_holds_may_hold_on_when_a_person_asks_to_go_on(holds):
    again = lambda: holds.hold("cap", "asked again", on_resume=again)  # noqa: E731
    holds.hold("cap", "reached", on_resume=again)
    holds.resume()
    assert holds.reason == "asked again"


async def ends_with(work):
    """What the time limit that ends `work` says."""
    with pytest.raises(TimedOut) as raised:
        await asyncio.wait_for(work, 5)
    return str(raised.value)


async def test_a_time_limit_says_whose_it_was(holds):
    async def work():
        async with holds.timeout(0.02, "the judge"):
            await asyncio.sleep(60)

    assert await ends_with(work()) == "the judge took over 0.02 s"


async def test_a_deadline_ends_every_time_limit_of_its_phase_and_nothing_else(holds):
    async def limited(seconds=60.0):
        async with holds.timeout(seconds, "the episode"):
            await asyncio.sleep(3600)

    outside = asyncio.create_task(limited())
    async with holds.phase("the rollouts of step 3", 0.05) as phase:
        working = [asyncio.create_task(limited()) for _ in range(3)]
        assert await ends_with(limited(0.01)) == "the episode took over 0.01 s"
        assert {await ends_with(work) for work in working} == {"deadline: the rollouts of step 3 took over 0.05 s"}
        assert phase.over
        assert (
            await ends_with(limited()) == "deadline: the rollouts of step 3 took over 0.05 s"
        )  # what begins later, too
        await asyncio.sleep(0.01)  # the block goes on
    assert not await soon(outside)
    outside.cancel()
    assert await ends_with(limited(0.01)) == "the episode took over 0.01 s"


async def test_a_deadline_stands_still_while_anything_holds_and_runs_while_a_task_waits_for_its_turn(holds):
    async def waits():
        async with holds.timeout(60):
            with holds.uncounted():
                await asyncio.sleep(3600)

    async with holds.phase("the measurement", 0.1) as phase:
        working = asyncio.create_task(waits())
        await asyncio.sleep(0.01)
        holds.hold("server", "away")
        await asyncio.sleep(0.3)
        assert not phase.over and not working.done()
        holds.lift("server")
        assert (await ends_with(working)).startswith("deadline: the measurement")


async def test_a_phase_without_a_deadline_never_ends(holds):
    async with holds.phase("the rollouts", 0) as phase:
        await asyncio.sleep(0.05)
    assert not phase.over


async def test_a_phase_ends_what_is_inside_the_limits_of_another(holds):
    ended = []

    async def work():
        async with holds.timeout(60, "the position"):
            try:
                async with holds.timeout(60, "the episode"):
                    await asyncio.sleep(3600)
            except TimedOut as error:
                ended.append(str(error))

    async with holds.phase("the rollouts", 0.02):
        assert await ends_with(work()) == "deadline: the rollouts took over 0.02 s"
    assert len(ended) <= 1
