"""Members of a lockstep: who answers begins when all of them wait, and not by a clock."""

import asyncio

from engine.core.holds import Holds
from engine.core.lockstep import Given, Lockstep, elsewhere, present_member


async def until_quiet(lockstep):
    """A task that waits for quiet, and has begun to."""
    task = asyncio.create_task(lockstep.quiet())
    await asyncio.sleep(0)
    return task


async def test_there_is_quiet_when_every_member_waits_or_has_ended():
    lockstep = Lockstep()
    one, two = lockstep.member(0, 1), lockstep.member(0, 0)
    quiet = await until_quiet(lockstep)
    one.waits()
    with two:
        assert present_member() is two
        await asyncio.sleep(0)
        assert not quiet.done()
    await asyncio.wait_for(quiet, 1)
    assert present_member() is None
    one.goes_on()
    assert not (await until_quiet(lockstep)).done()


async def test_who_works_on_answers_is_waited_for():
    lockstep = Lockstep()
    lockstep.member(0).waits()
    with lockstep.working():
        quiet = await until_quiet(lockstep)
        assert not quiet.done()
    await asyncio.wait_for(quiet, 1)


def test_tickets_are_ordered_by_member_and_number():
    lockstep = Lockstep()
    late, early = lockstep.member(1, 0), lockstep.member(0, 9)
    tickets = [late.ticket(), early.ticket(), late.ticket(), early.ticket()]
    assert sorted(tickets) == [tickets[1], tickets[3], tickets[0], tickets[2]]


async def test_a_member_that_takes_too_long_is_waited_for_once_and_that_is_said():
    said, holds = [], Holds()
    lockstep = Lockstep(holds, said.append, seconds=0.05)
    lockstep.member(0)
    holds.hold("memory", "memory runs out")
    quiet = await until_quiet(lockstep)
    await asyncio.sleep(0.1)
    assert not quiet.done() and not said  # time in which something holds does not count
    holds.lift("memory")
    await asyncio.wait_for(quiet, 2)
    await asyncio.wait_for(lockstep.quiet(), 0.04)
    assert len(said) == 1 and "over 0.05 s" in said[0]


async def test_who_waits_for_a_member_goes_on_at_the_moment_it_gives():
    lockstep = Lockstep()
    giver, taker = lockstep.member(0), lockstep.member(1)
    given = Given()

    async def take():
        with taker:
            assert await given.value() == 7
            assert await given.value() == 7

    task = asyncio.create_task(take())
    await asyncio.sleep(0)
    assert not taker.computes
    given.give(7)
    assert taker.computes
    await task
    with giver:
        assert await given.value() == 7


async def test_who_gives_up_waiting_for_a_member_computes_again():
    lockstep = Lockstep()
    taker, given = lockstep.member(1), Given()

    async def take():
        with taker:
            try:
                await given.value()
            except asyncio.CancelledError:
                assert taker.computes

    task = asyncio.create_task(take())
    await asyncio.sleep(0)
    task.cancel()
    await task
    given.give(7)


async def test_a_member_that_waits_for_a_server_elsewhere_keeps_nobody_waiting():
    lockstep = Lockstep()
    lockstep.member(0).waits()
    with lockstep.member(1), elsewhere():
        await asyncio.wait_for(lockstep.quiet(), 1)
    with lockstep.member(2):
        with elsewhere():
            pass
        assert not (await until_quiet(lockstep)).done()
    with elsewhere():  # who is no member
        pass
