"""Requests that nobody waits for any more, a model that is held, and answers that are no numbers."""

import asyncio
import threading

import pytest
import torch

from engine.models.base import Message, NotFinite, Sampling
from engine.models.local.batching import ModelBusy
from engine.models.local.loglikelihood import QUESTIONS_AT_ONCE
from engine.models.local.models import LocalModels
from tests.models import small

LONG = Sampling(temperature=1.0, max_tokens=30, seed=3)
SECONDS = 60


def chat(text="where is the mug?"):
    return [Message("user", text)]


@pytest.fixture(scope="module")
def words():
    return small.tokenizer()


@pytest.fixture
def network(words):
    """A model with an adapter that never ends an answer by itself."""
    base = small.base()
    head = base.lm_head
    head.register_forward_hook(
        lambda module, given, logits: logits.index_fill(-1, torch.tensor(words.eos_token_id), -50.0)
    )
    return small.with_adapter(base)


class Passes:
    """Counts a network's forward passes; `then[n]` is called in the model's thread before the n-th."""

    def __init__(self, network, then=None):
        self.count = 0
        self._then = then or {}
        network.get_base_model().register_forward_pre_hook(self._before, with_kwargs=True)

    def _before(self, module, arguments, named):
        self.count += 1
        if self.count in self._then:
            self._then[self.count]()


def cancelling(loop, tasks):
    """A function that cancels tasks from another thread and returns when they are done."""

    def cancel():
        ended = threading.Event()

        async def wait():
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            ended.set()

        asyncio.run_coroutine_threadsafe(wait(), loop)
        assert ended.wait(SECONDS)

    return cancel


def asked(model, count, role="curator", sampling=LONG):
    return [
        asyncio.create_task(getattr(model, role).complete(chat(f"mug {number}"), sampling)) for number in range(count)
    ]


# Given up


@pytest.mark.parametrize("role", ["executor", "curator"])
async def test_a_batch_that_nobody_waits_for_ends_at_its_next_token(network, words, role):
    model, tasks = LocalModels(network, words, context=512), []
    passes = Passes(network, {5: cancelling(asyncio.get_running_loop(), tasks)})
    tasks += asked(model, 3, role)
    await asyncio.wait(tasks)
    await model.idle(SECONDS)
    assert passes.count == 5
    assert all(task.cancelled() for task in tasks)


async def test_who_still_waits_draws_what_he_would_have_drawn(network, words):
    model = LocalModels(network, words, context=512)
    expected = [await task for task in asked(model, 4)]
    tasks, given_up = [], []
    Passes(network, {5: cancelling(asyncio.get_running_loop(), given_up)})
    tasks += asked(model, 4)
    given_up += [tasks[0], tasks[2]]
    await asyncio.wait(tasks)
    for number in (1, 3):
        answer = tasks[number].result()
        assert answer.tokens.completion_ids == expected[number].tokens.completion_ids
        assert answer.tokens.logprobs == pytest.approx(expected[number].tokens.logprobs, abs=1e-4)
    assert tasks[0].cancelled() and tasks[2].cancelled()
    assert (await model.curator.complete(chat("mug 0"), LONG)).tokens.completion_ids == expected[
        0
    ].tokens.completion_ids


async def test_a_request_whose_time_is_over_ends_there(network, words):
    model = LocalModels(network, words, context=512)
    began = asyncio.Event()
    loop = asyncio.get_running_loop()
    passes = Passes(network, {2: lambda: loop.call_soon_threadsafe(began.set)})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit:
            task = asyncio.create_task(began.wait())
            task.add_done_callback(lambda _: limit.reschedule(loop.time()))
            await model.executor.complete(chat(), LONG)
    await model.idle(SECONDS)
    assert passes.count < 30


async def test_scores_that_nobody_waits_for_end_before_the_next_forward_pass(network, words):
    model, tasks = LocalModels(network, words, context=512), []
    passes = Passes(network, {1: cancelling(asyncio.get_running_loop(), tasks)})
    tasks += [
        asyncio.create_task(model.executor.loglikelihood(chat(f"mug {n}"), "<action>", ["go", "look around"]))
        for n in range(3 * QUESTIONS_AT_ONCE)
    ]
    await asyncio.wait(tasks)
    await model.idle(SECONDS)
    assert passes.count == 1
    assert all(task.cancelled() for task in tasks)


async def test_scores_given_up_do_not_change_the_others(network, words):
    model = LocalModels(network, words, context=512)

    def score():
        return [
            asyncio.create_task(model.curator.loglikelihood(chat(f"mug {n}"), "", ["go", "look around", "wait"]))
            for n in range(QUESTIONS_AT_ONCE + 2)
        ]

    expected = [await task for task in score()]
    given_up = []
    Passes(network, {1: cancelling(asyncio.get_running_loop(), given_up)})
    tasks = score()
    given_up += tasks[1:-1]
    await asyncio.wait(tasks)
    for number in (0, -1):
        assert tasks[number].result() == pytest.approx(expected[number], abs=1e-4)


# Held


async def test_who_holds_the_model_waits_for_the_batch_in_work_and_lets_none_begin(network, words):
    model, order = LocalModels(network, words, context=512), []
    passes = Passes(network)
    short = Sampling(max_tokens=5)
    first = asked(model, 2, sampling=short)
    while not passes.count:
        await asyncio.sleep(0.001)
    for task in first:
        task.add_done_callback(lambda _: order.append("answered"))
    await model.hold(SECONDS)
    order.append("held")
    done = passes.count
    second = asked(model, 2, sampling=short)
    await asyncio.sleep(0.05)
    assert passes.count == done == 5 and not any(task.done() for task in second)
    model.release()
    await asyncio.wait_for(asyncio.gather(*second), SECONDS)
    assert passes.count == 10


async def test_a_hold_is_bounded(network, words):
    model, go_on = LocalModels(network, words, context=512), threading.Event()
    passes = Passes(network, {1: go_on.wait})
    tasks = asked(model, 1, sampling=Sampling(max_tokens=2))
    while not passes.count:
        await asyncio.sleep(0.001)
    with pytest.raises(ModelBusy, match=r"still answers requests after 0\.05 s"):
        await model.hold(0.05)
    go_on.set()
    await asyncio.wait_for(asyncio.gather(*tasks), SECONDS)
    await model.hold(SECONDS)
    model.release()


# No numbers


def spoilt(network, value, after=1):
    """Make the network's logits `value` at one token, from the n-th forward pass on."""
    passes = Passes(network)

    def spoil(module, given, logits):
        return logits.index_fill(-1, torch.tensor(7), value) if passes.count >= after else logits

    network.get_base_model().lm_head.register_forward_hook(spoil)
    return passes


@pytest.mark.parametrize("after", [1, 4])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("role", ["executor", "curator"])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
async def test_nothing_is_drawn_from_what_is_no_number(network, words, after, value, role, temperature):
    """argmax of NaN is a token like any other: it must not be written as if the model had chosen it."""
    model = LocalModels(network, words, context=512)
    passes = spoilt(network, value, after)
    sampling = Sampling(temperature=temperature, top_k=5, top_p=0.9, max_tokens=20)
    tasks = asked(model, 3, role, sampling)
    await asyncio.wait(tasks)
    errors = [task.exception() for task in tasks]
    assert all(isinstance(error, NotFinite) and error.model == role for error in errors)
    assert len(set(map(id, errors))) == 3
    assert f"the {role}'s log-probabilities are not finite" in str(errors[0])
    assert passes.count == after


@pytest.mark.parametrize("role", ["executor", "curator"])
async def test_scores_that_are_not_finite_are_refused(network, words, role):
    model = LocalModels(network, words, context=512)
    spoilt(network, float("nan"))
    with pytest.raises(NotFinite) as raised:
        await getattr(model, role).loglikelihood(chat(), "", ["go", "look"])
    assert raised.value.model == role


async def test_damaged_weights_are_found_at_the_first_token(words):
    base = small.base()
    with torch.no_grad():
        base.model.layers[1].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.raises(NotFinite):
        await LocalModels(base, words).executor.complete(chat(), LONG)
