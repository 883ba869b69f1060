"""What models are used for is counted by role, over all starts of a run, and caps pause the run."""

import asyncio

import pytest

from engine.core.events import ModelsUsed, ModelUse
from engine.core.holds import Holds
from engine.models import metering as metering
from engine.models.base import Chooser, Completion, Message, Models, ModelUnavailable, Sampling, Scorer, Usage
from engine.models.limits import Gateway, Retryable
from engine.models.limits.settings import LimitedSettings
from engine.models.metering import Meter
from engine.models.prices import PricedSettings, Prices, prices_of
from engine.system.settings import LimitsSettings

CHAT = [Message("user", "hello")]
PRICES = Prices(prompt=1_000_000, completion=2_000_000, cached=100_000)


class Plain:
    def __init__(self, cached=None):
        self.cached = cached
        self.answers = [None]

    async def complete(self, messages, sampling, tools=None):
        if error := self.answers[0]:
            raise error
        return Completion("hi", "stop", Usage(10, 5, self.cached))

    def count(self, text):
        return len(text)


class Scores(Plain):
    async def loglikelihood(self, messages, prefix, options, max_prompt_tokens=None):
        return [0.0] * len(options)


class Chooses(Plain):
    async def choose(self, messages, options, sampling):
        return Completion(options[0], "stop", Usage(10, 1))


class Both(Scores, Chooses):
    pass


@pytest.fixture
def holds():
    return Holds()


@pytest.fixture
def emitted():
    return []


@pytest.fixture
def metered(holds, emitted):
    """A function that gives the metered models of a meter, and the meter."""

    def metered(executor, curator=None, judge=None, used=(), prices=None, **limits):
        meter = Meter(LimitsSettings(**limits), holds, emitted.append, used)
        models = Models(executor, curator or executor, judge, Plain())
        return meter.wrap(models, prices or {}), meter

    return metered


def use_of(meter, role="executor"):
    return next(use for use in meter.used if use.role == role)


@pytest.mark.parametrize(("model", "scores", "chooses"), [(Plain, 0, 0), (Scores, 1, 0), (Chooses, 0, 1), (Both, 1, 1)])
def test_a_counted_model_can_do_what_the_model_can(metered, model, scores, chooses):
    models, _ = metered(model())
    assert (isinstance(models.executor, Scorer), isinstance(models.executor, Chooser)) == (bool(scores), bool(chooses))
    assert models.judge is None


async def test_calls_and_tokens_are_counted_by_role(metered):
    models, meter = metered(Both(cached=8), judge=Plain())
    await models.executor.complete(CHAT, Sampling())
    await models.executor.choose(CHAT, ["go"], Sampling())
    await models.executor.loglikelihood(CHAT, "", ["go", "stay"])
    await models.curator.complete(CHAT, Sampling())
    executor, curator, judge = meter.used
    assert (executor.calls, executor.prompt_tokens, executor.completion_tokens) == (3, 20, 6)
    assert (executor.cached_tokens, executor.unmeasured, executor.cost) == (8, 1, None)
    assert (curator.role, curator.calls, judge.calls, judge.cached_tokens) == ("curator", 1, 0, None)


async def test_what_the_tokens_cost_is_counted_where_prices_are_set(metered):
    models, meter = metered(Plain(cached=4), prices={"executor": PRICES})
    await models.executor.complete(CHAT, Sampling())
    assert use_of(meter).cost == pytest.approx(6 + 0.4 + 10)
    await models.curator.complete(CHAT, Sampling())
    assert use_of(meter, "curator").cost is None


def test_prices_are_those_of_the_settings():
    assert prices_of(PricedSettings()) is None
    assert prices_of(PricedSettings(prompt_price=2, completion_price=8)).cost(Usage(1_000_000, 500_000)) == 6


async def test_failures_and_retries_are_counted(metered, holds):
    gateway, faults = Gateway("http://x", LimitedSettings(), holds), [Retryable("502"), None]

    class Served(Plain):
        async def complete(self, messages, sampling, tools=None):
            async def attempt():
                if fault := faults.pop(0):
                    raise fault
                return Completion("hi", "stop", Usage(10, 5))

            return await gateway.call(attempt)

    models, meter = metered(Served(), curator=(lost := Plain()))
    await models.executor.complete(CHAT, Sampling())
    lost.answers = [ModelUnavailable("away")]
    with pytest.raises(ModelUnavailable):
        await models.curator.complete(CHAT, Sampling())
    assert (use_of(meter).retries, use_of(meter).failures) == (1, 0)
    assert (use_of(meter, "curator").calls, use_of(meter, "curator").failures) == (1, 1)


async def test_use_is_emitted_at_most_once_in_a_while_and_when_asked_for(metered, emitted, monkeypatch):
    monkeypatch.setattr(metering, "REPORT_SECONDS", 0.5)
    models, meter = metered(Plain())
    for _ in range(1000):
        await models.executor.complete(CHAT, Sampling())
    assert len(emitted) <= 2
    meter.report()
    meter.report()
    assert emitted[-1] == ModelsUsed(meter.used) and use_of(meter).calls == 1000
    count = len(emitted)
    await models.executor.complete(CHAT, Sampling())
    await asyncio.sleep(0.6)
    assert len(emitted) == count + 1 and emitted[-1].models[0].calls == 1001


async def test_a_later_start_continues_the_counts(metered):
    before = [ModelUse("executor", 100, 1000, 500, 300, 2, 3, 12.5, 60.0)]
    models, meter = metered(Plain(), used=before, prices={"executor": PRICES})
    await models.executor.complete(CHAT, Sampling())
    use = use_of(meter)
    assert (use.calls, use.prompt_tokens, use.cached_tokens, use.failures, use.cost) == (101, 1010, 300, 2, 32.5)


async def test_a_model_is_asked_nothing_while_something_holds(metered, holds):
    models, meter = metered(Plain())
    holds.hold("memory", "short")
    asking = asyncio.create_task(models.executor.complete(CHAT, Sampling()))
    await asyncio.sleep(0.05)
    assert not asking.done() and use_of(meter).calls == 0
    holds.lift("memory")
    await asyncio.wait_for(asking, 5)


async def test_a_cap_pauses_the_run_and_to_resume_allows_as_much_again(metered, holds):
    models, _ = metered(Plain(), tokens=30)
    for _ in range(2):
        await models.executor.complete(CHAT, Sampling())
    assert holds.reason == (
        "the models have used 30 tokens (limits.tokens is 30); resume the run to allow as much again, or stop it"
    )
    holds.resume()
    assert holds.reason == ""
    await models.executor.complete(CHAT, Sampling())
    assert holds.reason == ""
    await models.executor.complete(CHAT, Sampling())
    assert "used 60 tokens" in holds.reason


async def test_a_cap_on_cost_counts_all_roles_and_all_starts(metered, holds):
    before = [ModelUse("judge", 10, 100, 100, cost=39.0)]
    models, _ = metered(Plain(), used=before, prices={"executor": PRICES}, cost=40)
    await models.executor.complete(CHAT, Sampling())
    assert "cost 59.00 (limits.cost is 40)" in holds.reason


async def test_a_start_after_the_cap_was_reached_allows_as_much_again(metered, holds):
    models, _ = metered(Plain(), used=[ModelUse("executor", 10, 40, 5)], tokens=40)
    await models.executor.complete(CHAT, Sampling())
    assert holds.reason == ""
    await models.executor.complete(CHAT, Sampling())
    await models.executor.complete(CHAT, Sampling())
    assert "used 90 tokens" in holds.reason
