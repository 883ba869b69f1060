"""Calls to one server: how many at once, made again when, and what an outage, a hang, a refusal and a broken request do."""

import asyncio
import itertools
import random
import time

import pytest

from engine.core.errors import ConfigError
from engine.core.events import ServerMeasured
from engine.core.holds import Holds
from engine.core.lockstep import Lockstep
from engine.models.base import ModelUnavailable
from engine.models.limits import Busy, Gateway, Retryable, breaker, gateway
from engine.models.limits.errors import Slow
from engine.models.limits.settings import LimitedSettings

REFUSED = "connection refused"


class Server:
    """Answers after `seconds`. `fault` is what it raises instead; `slots` is how many it answers at once, others get 429."""

    def __init__(self, seconds=0.005, slots=10_000):
        self.seconds, self.slots = seconds, slots
        self.fault = None
        self.hangs = False
        self.now = self.most = self.asked = self.probes = 0
        self.order = []

    async def answer(self, name=0):
        self.asked += 1
        if self.now >= self.slots:
            raise Busy("429 Too Many Requests", after=0.02)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(3600 if self.hangs else self.seconds)
            if self.fault is not None:
                raise self.fault
            self.order.append(name)
            return name
        finally:
            self.now -= 1

    async def probe(self):
        self.probes += 1
        if self.fault is not None:
            raise self.fault


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Waits a tenth as long."""
    monkeypatch.setattr(breaker, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(breaker, "MOST_SECONDS", 0.2)
    monkeypatch.setattr(breaker, "BUSY_SECONDS", 0.3)
    monkeypatch.setattr(gateway, "BACK_OFF_SECONDS", 0.02)
    monkeypatch.setattr(gateway, "OWN_SECONDS", 0.5)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def holds():
    holds = Holds()
    holds.told = []
    holds.on_change = lambda: holds.told.append(holds.reason)
    return holds


@pytest.fixture
def opened(server, holds):
    """A function that opens a gateway with settings."""

    def open_(probe=server.probe, **settings):
        return Gateway("http://127.0.0.1:8000", LimitedSettings(**settings), holds, *([probe] if probe else []))

    return open_


async def together(gateway, server, count):
    """The results of so many calls at once, errors included."""
    calls = (gateway.call(lambda name=name: server.answer(name)) for name in range(count))
    return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 30)


async def test_a_thousand_calls_are_answered_each_once_and_never_more_at_a_time_than_the_ceiling(opened, server):
    gateway = opened(concurrency=50)
    assert await together(gateway, server, 1000) == list(range(1000))
    assert server.asked == 1000 and server.most == 50


async def test_the_first_to_come_is_the_first_to_go(opened, server):
    gateway = opened(concurrency=1)
    await together(gateway, server, 100)
    assert server.order == list(range(100))


async def test_an_outage_pauses_the_run_and_loses_no_call(opened, server, holds):
    gateway = opened(concurrency=32)
    calls = asyncio.create_task(together(gateway, server, 500))
    await asyncio.sleep(0.02)
    server.fault = Retryable(REFUSED)
    await asyncio.sleep(0.5)
    during = server.asked
    await asyncio.sleep(0.2)
    assert server.asked == during  # nothing but probes in an outage
    assert "http://127.0.0.1:8000 does not answer (connection refused)" in holds.reason
    server.fault = None
    assert await calls == list(range(500))
    assert [bool(reason) for reason in holds.told] == [True, False]
    assert server.asked <= 500 + 2 * 32


@pytest.mark.parametrize("probed", [True, False])
async def test_an_outage_of_a_single_stream_loses_nothing_either(opened, server, holds, probed):
    gateway = opened(probe=server.probe if probed else None)
    server.fault = Retryable(REFUSED)
    calling = asyncio.create_task(gateway.call(server.answer))
    await asyncio.sleep(1.5)
    assert holds.reason and not calling.done()
    server.fault = None
    assert await asyncio.wait_for(calling, 5) == 0
    assert holds.reason == ""


async def test_after_an_outage_the_server_is_asked_by_one_and_then_by_more_and_more(opened, server):
    gateway = opened(concurrency=32)
    await together(gateway, server, 200)
    server.fault = Retryable(REFUSED)
    calls = asyncio.create_task(together(gateway, server, 100))
    await asyncio.sleep(0.3)
    server.fault, server.most, server.seconds = None, 0, 0.3
    while server.most < 1:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert server.most == 1
    server.seconds = 0.005
    await calls
    assert server.most > 8


async def test_the_run_goes_on_soon_after_the_server_is_back_however_long_it_was_away(
    opened, server, holds, monkeypatch
):
    """A tenth of the outage, besides the shortest wait."""
    monkeypatch.setattr(breaker, "MOST_SECONDS", 30.0)
    gateway = opened()
    server.fault = Retryable(REFUSED)
    calling = asyncio.create_task(gateway.call(server.answer))
    while not holds.reason:
        await asyncio.sleep(0.01)
    await asyncio.sleep(3)
    server.fault, back = None, time.monotonic()
    await asyncio.wait_for(calling, 5)
    assert time.monotonic() - back < 0.05 + 0.1 * 5 + 0.3
    assert server.probes < 30


async def test_a_server_that_works_on_one_request_at_a_time_is_sent_fewer_and_each_is_answered(opened, holds):
    """With 40 requests in its queue, the last would wait for longer than an answer may take."""
    gateway, slot, asked = opened(concurrency=64, answer_seconds=1.0), asyncio.Lock(), []
    dice = random.Random(1)  # of equal requests, each could be given up just as its turn comes

    async def attempt():
        asked.append(1)
        async with slot:
            await asyncio.sleep(dice.uniform(0.02, 0.06))
        return "answer"

    async def one():
        return [await gateway.call(attempt) for _ in range(3)]

    assert await asyncio.wait_for(asyncio.gather(*(one() for _ in range(40))), 30) == [["answer"] * 3] * 40
    assert len(asked) < 240 and holds.told == []  # twice the calls


async def test_a_server_that_hangs_is_an_outage_too(opened, server, holds):
    gateway = opened(concurrency=8, answer_seconds=0.1)
    server.hangs = True
    server.fault = Retryable("no answer")
    calls = asyncio.create_task(together(gateway, server, 20))
    await asyncio.sleep(0.5)
    assert "does not answer" in holds.reason
    server.hangs, server.fault = False, None
    assert await calls == list(range(20))


@pytest.mark.parametrize("probe_hangs", [False, True])
async def test_a_server_that_hangs_is_found_before_a_request_reaches_its_time_and_gives_the_answer_later(
    opened, server, holds, monkeypatch, probe_hangs
):
    monkeypatch.setattr(gateway, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(breaker, "PROBE_SECONDS", 0.2)
    server.seconds, server.fault, back = 3600, Retryable("no route to host"), asyncio.Event()

    async def hang():
        await back.wait()
        return "late"

    async def probe():
        await (hang() if probe_hangs else server.probe())

    calling = asyncio.create_task(opened(probe=probe).call(hang))
    await asyncio.sleep(0.15)
    assert holds.reason == ""
    await asyncio.sleep(0.6)
    assert f"({'no answer within 0.2 s' if probe_hangs else 'no route to host'})" in holds.reason
    server.fault = None
    back.set()
    assert await asyncio.wait_for(calling, 5) == "late"
    await asyncio.sleep(0.1)
    assert holds.reason == "" and [bool(reason) for reason in holds.told] == [True, False]


async def test_a_slow_server_that_answers_its_probe_is_left_to_work(opened, server, holds, monkeypatch):
    monkeypatch.setattr(gateway, "SILENT_SECONDS", 0.1)
    server.seconds = 0.6
    assert await opened().call(server.answer) == 0
    assert server.probes >= 3 and holds.told == []


async def test_a_trial_that_hangs_does_not_keep_the_run_paused_when_the_server_is_back(
    opened, server, holds, monkeypatch
):
    monkeypatch.setattr(gateway, "SILENT_SECONDS", 0.2)
    gateway_, first = opened(), Retryable(REFUSED)
    server.fault = first
    calls = asyncio.create_task(together(gateway_, server, 3))
    while not holds.reason:
        await asyncio.sleep(0.01)
    server.hangs, server.fault = True, None
    asked = server.asked
    while server.asked == asked:  # the trial, which is lost
        await asyncio.sleep(0.01)
    server.hangs, server.fault = False, first
    await asyncio.sleep(0.5)
    server.fault = None
    assert sorted(await asyncio.wait_for(asyncio.gather(*[gateway_.call(server.answer)]), 5)) == [0]
    assert holds.reason == ""
    calls.cancel()
    await asyncio.gather(calls, return_exceptions=True)


async def test_a_request_without_an_answer_in_its_time_pauses_the_run_where_nobody_else_is_answered(
    opened, server, holds
):
    """The caller's time limit would else end before a second one does."""
    server.hangs = True
    calling = asyncio.create_task(opened(answer_seconds=0.2).call(server.answer))
    await asyncio.sleep(0.3)
    assert "(no answer within 0.2 s; where it is only slow, raise answer_seconds)" in holds.reason
    server.hangs = False
    assert await asyncio.wait_for(calling, 5) == 0


async def test_reasons_that_differ_in_their_details_are_reported_once(opened, server, holds):
    gateway, numbers = opened(), itertools.count()

    async def attempt():
        raise Retryable(f"its answer breaks off (after {next(numbers)} bytes)")

    calls = [asyncio.create_task(gateway.call(attempt)) for _ in range(2)]
    await asyncio.sleep(1.5)
    assert next(numbers) > 8 and len(holds.told) == 1
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_gateway_whose_model_starts_again_behind_it_costs_a_single_stream_no_call(opened, server, holds):
    """It lists its models meanwhile, so that the fault seems to be that of the request."""

    async def attempt():
        return await server.answer() if time.monotonic() > back else await fail()

    async def fail():
        raise Retryable("502 Bad Gateway")

    back = time.monotonic() + 0.4
    assert await asyncio.wait_for(opened().call(attempt), 5) == 0


async def test_one_that_hangs_for_ever_does_not_hold_up_the_others_and_is_unavailable(opened, server, holds):
    gateway = opened(concurrency=4, answer_seconds=0.15, retries=1)

    async def hang():
        await asyncio.sleep(3600)

    async def others():
        for _ in range(100):
            await gateway.call(server.answer)
            await asyncio.sleep(0.005)

    hanging = asyncio.create_task(gateway.call(hang))
    await asyncio.wait_for(others(), 20)
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:8000 gave no answer: no answer within 0\.15 s"):
        await asyncio.wait_for(hanging, 5)
    assert holds.told == []


async def test_a_request_that_always_fails_is_given_up_and_the_next_is_answered(opened, server, holds):
    gateway = opened()

    async def broken():
        raise Retryable("500 Internal Server Error")

    with pytest.raises(ModelUnavailable, match="500 Internal Server Error"):
        await asyncio.wait_for(gateway.call(broken), 10)
    assert await asyncio.wait_for(gateway.call(server.answer), 5) == 0
    assert holds.reason == ""


async def test_a_server_that_is_healthy_and_answers_no_call_pauses_the_run_after_one_is_given_up(opened, server, holds):
    gateway, answers = opened(), []

    async def broken():
        raise Retryable("500 Internal Server Error")

    async def one():
        try:
            answers.append(await gateway.call(broken))
        except ModelUnavailable as error:
            answers.append(error)

    calls = [asyncio.create_task(one()) for _ in range(6)]
    await asyncio.sleep(2.5)
    assert answers == [] and "500 Internal Server Error" in holds.reason
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await gateway.close()
    assert holds.reason == ""


async def test_few_failures_are_made_again_without_a_pause(opened, server, holds):
    gateway, faults = opened(), itertools.chain([Retryable("502 Bad Gateway")] * 2, itertools.repeat(None))

    async def attempt():
        if fault := next(faults):
            raise fault
        return "answer"

    assert await gateway.call(attempt) == "answer"
    assert holds.told == []


async def test_the_retries_of_all_calls_together_are_bounded(opened, server):
    """Three of four requests fail: a call has three retries, and all of them together as many as there are calls."""
    gateway, turns, asked = opened(concurrency=16), itertools.count(), []

    async def attempt():
        asked.append(1)
        await asyncio.sleep(0.001)
        if next(turns) % 4:
            raise Retryable("500 Internal Server Error")
        return 1

    calls = (gateway.call(attempt) for _ in range(600))
    results = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 30)
    lost = [result for result in results if isinstance(result, ModelUnavailable)]
    assert len(asked) <= 1200 and len(lost) + results.count(1) == 600


async def test_a_thousand_calls_of_which_four_in_ten_requests_fail_lose_few(opened, server, holds):
    """0.4 to the fourth power are 26 in a thousand."""
    gateway, draw = opened(concurrency=64), random.Random(1)
    faults = [Retryable("500"), Retryable("its answer cannot be read"), Busy("429", after=0.01), Slow("no answer")]

    async def attempt(number):
        await asyncio.sleep(0.001)
        if draw.random() < 0.4:
            raise draw.choice(faults)
        return number

    calls = (gateway.call(lambda number=number: attempt(number)) for number in range(1000))
    results = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 60)
    lost = [result for result in results if isinstance(result, ModelUnavailable)]
    assert len(lost) < 60 and holds.reason == ""
    assert all(result == number for number, result in enumerate(results) if result not in lost)


@pytest.mark.parametrize("error", [ConfigError("401: the key is wrong"), ModelUnavailable("400"), LookupError("404")])
async def test_a_final_error_is_raised_at_once_and_never_opens_the_breaker(opened, server, holds, error):
    gateway = opened()
    server.fault = error
    results = await together(gateway, server, 50)
    assert results == [error] * 50 and server.asked == 50 and holds.told == []


async def test_a_storm_of_refusals_halves_the_requests_and_loses_none(opened, server, holds):
    server.slots, server.seconds = 5, 0.01
    gateway = opened(concurrency=64)
    assert sorted(await together(gateway, server, 300)) == list(range(300))
    assert server.asked < 900 and holds.told == []


async def test_a_long_wait_that_the_server_asks_for_pauses_the_run_and_is_obeyed(opened, server, holds, monkeypatch):
    monkeypatch.setattr(breaker, "LONG_SECONDS", 0.5)
    gateway = opened()
    server.fault = Busy("429 Too Many Requests: the quota is used up", after=0.6)
    began = time.monotonic()
    calling = asyncio.create_task(gateway.call(server.answer))
    await asyncio.sleep(0.1)
    server.fault = None
    assert "takes no requests (429 Too Many Requests: the quota is used up)" in holds.reason
    assert await asyncio.wait_for(calling, 5) == 0
    assert time.monotonic() - began >= 0.6 and server.asked == 2


async def test_a_server_that_refuses_everything_pauses_the_run(opened, server, holds):
    gateway = opened()
    server.fault = Busy("429 Too Many Requests")
    calls = asyncio.create_task(together(gateway, server, 30))
    await asyncio.sleep(3)
    assert "takes no requests" in holds.reason and server.asked < 60
    server.fault = None
    assert sorted(await calls) == list(range(30))


async def test_refusals_that_ask_for_no_wait_are_made_again_after_one_and_lose_nothing(opened, server):
    calling = asyncio.create_task(together(opened(), server, 3))
    server.fault = Busy("429 Too Many Requests", after=0.0)
    await asyncio.sleep(1)
    assert server.asked < 40 and not calling.done()
    server.fault = None
    assert sorted(await asyncio.wait_for(calling, 5)) == list(range(3))


async def test_who_resumes_the_run_asks_the_server_at_once(opened, server, holds, monkeypatch):
    monkeypatch.setattr(breaker, "FIRST_SECONDS", 60.0)
    gateway = opened()
    server.fault = Retryable(REFUSED)
    calling = asyncio.create_task(together(gateway, server, 5))
    while not holds.reason:
        await asyncio.sleep(0.01)
    holds.resume()
    await asyncio.sleep(0.05)
    assert server.probes == 1 and holds.reason  # it is still away
    server.fault = None
    holds.resume()
    assert await asyncio.wait_for(calling, 5) == list(range(5))


async def test_a_stop_in_the_middle_of_an_outage_ends_at_once(opened, server, holds):
    gateway = opened()
    server.fault = Retryable(REFUSED)
    calls = [asyncio.create_task(gateway.call(server.answer)) for _ in range(40)]
    await asyncio.sleep(0.3)
    assert holds.reason
    began = time.monotonic()
    for call in calls:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    await gateway.close()
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert time.monotonic() - began < 0.5 and holds.reason == ""


async def test_calls_that_are_given_up_in_an_outage_do_not_keep_the_run_paused(opened, server, holds):
    gateway = opened()
    server.fault = Retryable(REFUSED)
    calls = [asyncio.create_task(gateway.call(server.answer)) for _ in range(10)]
    await asyncio.sleep(0.3)
    for call in calls:
        call.cancel()
    server.fault = None
    await asyncio.sleep(0.5)
    assert holds.reason == ""
    assert await asyncio.wait_for(gateway.call(server.answer), 5) == 0


async def test_other_holds_stop_requests_and_waiting_here_costs_no_caller_its_time(opened, server, holds):
    gateway = opened(concurrency=1)
    server.seconds = 0.02

    async def one():
        async with holds.timeout(0.2):
            return await gateway.call(server.answer)

    holds.hold("memory", "memory is short")
    calls = [asyncio.create_task(one()) for _ in range(50)]
    await asyncio.sleep(0.3)
    assert server.asked == 0
    holds.lift("memory")
    assert await asyncio.wait_for(asyncio.gather(*calls), 20) == [0] * 50


async def test_a_rate_of_requests_is_kept(opened, server):
    gateway = opened(requests_per_minute=1200)  # 20 a second, 120 of them at once
    began = time.monotonic()
    await together(gateway, server, 140)
    assert 0.9 <= time.monotonic() - began < 5


async def test_requests_grow_fewer_while_the_servers_cache_is_nearly_full(opened, server):
    gateway = opened(concurrency=64)
    await together(gateway, server, 500)
    assert gateway.concurrency == 64
    gateway.measured(ServerMeasured("s", running=60, waiting=0, kv_cache=0.97))
    assert gateway.concurrency == 48
    gateway.measured(ServerMeasured("s", running=40, waiting=0, kv_cache=0.9))
    await together(gateway, server, 200)
    assert gateway.concurrency == 48  # no more while it is high
    gateway.measured(ServerMeasured("s", running=40, waiting=0, kv_cache=0.5))
    await together(gateway, server, 2000)
    assert gateway.concurrency > 48


async def test_a_call_keeps_no_model_of_this_process_waiting_that_answers_a_lockstep(opened, server):
    lockstep, gateway = Lockstep(), opened()
    server.seconds = 0.2
    with lockstep.member(0):
        calling = asyncio.create_task(gateway.call(server.answer))
        await asyncio.wait_for(lockstep.quiet(), 0.1)
        assert not calling.done()
        await calling
        waiting = asyncio.create_task(lockstep.quiet())
        await asyncio.sleep(0.01)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 1)
