"""The local model: two roles on one base, batches that nobody notices, draws that follow the distribution they name."""

import asyncio
import copy
import math
from collections import Counter

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from engine.models.base import Message, PromptTooLong, Sampling
from engine.models.local.models import LocalModels
from tests.models import small

GREEDY = Sampling(temperature=0, max_tokens=12)
FREE = Sampling(temperature=0.8, max_tokens=12, seed=5)


def chat(text):
    return [Message("user", text)]


def others(count):
    """Requests of all lengths, to stand beside another in a batch."""
    return [chat("go " * (number % 7 + 1) + str(number)) for number in range(count)]


@pytest.fixture(scope="module")
def words():
    return small.tokenizer()


@pytest.fixture(scope="module")
def adapted():
    return small.with_adapter(small.base())


@pytest.fixture
def model(adapted, words):
    return LocalModels(adapted, words, max_batch=16, context=256)


def forward(network, completion):
    """The logits at each completion token, from a forward pass over the whole sequence by itself."""
    ids = torch.tensor([completion.tokens.prompt_ids + completion.tokens.completion_ids])
    with torch.inference_mode():
        logits = network(ids).logits[0]
    return logits[len(completion.tokens.prompt_ids) - 1 : -1].float()


# Two roles


@pytest.mark.parametrize("sampling", [GREEDY, FREE], ids=["greedy", "drawn"])
async def test_the_executor_is_the_base_whatever_the_adapter_learned(model, words, sampling):
    alone = LocalModels(small.base(), words)
    for number in range(4):
        ask = chat(f"where is mug {number}?")
        executor = await model.executor.complete(ask, sampling)
        base = await alone.executor.complete(ask, sampling)
        curator = await model.curator.complete(ask, sampling)
        assert executor.tokens.completion_ids == base.tokens.completion_ids
        assert executor.tokens.logprobs == pytest.approx(base.tokens.logprobs, abs=1e-5)
        assert curator.tokens.completion_ids != base.tokens.completion_ids


async def test_the_roles_do_not_leak_into_each_other_when_they_wait_together(model):
    ask = chat("get a hot mug")
    alone = [await getattr(model, role).complete(ask, FREE) for role in ("executor", "curator")]
    together = await asyncio.gather(*(getattr(model, role).complete(ask, FREE) for role in ("executor", "curator") * 3))
    assert [answer.tokens.completion_ids for answer in together] == [
        answer.tokens.completion_ids for answer in alone
    ] * 3


async def test_answering_leaves_the_model_as_it_was_found(model, adapted):
    adapted.train()
    try:
        await model.executor.complete(chat("hello"), GREEDY)
        assert adapted.training
        assert not any(layer.disable_adapters for layer in adapted.modules() if isinstance(layer, BaseTunerLayer))
    finally:
        adapted.eval()


# What is drawn


async def test_the_log_probabilities_are_those_of_a_forward_pass(model, adapted):
    for seed, temperature in enumerate([0.0, 0.5, 1.0, 1.5]):
        sampling = Sampling(temperature=temperature, top_k=5, top_p=0.9, max_tokens=20, seed=seed)
        completion = await model.curator.complete(chat("clean the pot"), sampling)
        expected = forward(adapted, completion).log_softmax(-1)
        chosen = expected.gather(-1, torch.tensor(completion.tokens.completion_ids)[:, None])[:, 0]
        assert completion.tokens.logprobs == pytest.approx(chosen.tolist(), abs=1e-4)


async def test_at_temperature_zero_each_token_is_the_likeliest(model, adapted):
    completion = await model.curator.complete(chat("heat the egg"), GREEDY)
    assert completion.tokens.completion_ids == forward(adapted, completion).argmax(-1).tolist()
    again = await model.curator.complete(chat("heat the egg"), Sampling(0.0, max_tokens=12, seed=99))
    assert again.tokens.completion_ids == completion.tokens.completion_ids


async def frequencies(model, sampling, draws=1600):
    """How often each first token is drawn over as many seeds; the distribution that a forward pass gives; the count."""
    asked = [
        model.curator.complete(chat("cool it"), Sampling(**{**sampling, "max_tokens": 1, "seed": seed}))
        for seed in range(draws)
    ]
    completions = await asyncio.gather(*asked)
    counts = Counter(completion.tokens.completion_ids[0] for completion in completions)
    logits = forward(model.network, completions[0])[0]
    return counts, (logits / sampling["temperature"]).softmax(-1), draws


def assert_drawn_from(counts, probabilities, draws):
    """Every token with an expected count over 5 lies within 4.5 standard errors of it."""
    for token, p in enumerate(probabilities.tolist()):
        if p * draws > 5:
            assert abs(counts[token] - p * draws) < 4.5 * math.sqrt(draws * p * (1 - p))


@pytest.mark.parametrize("temperature", [0.5, 1.0])
async def test_tokens_are_drawn_as_often_as_the_softmax_says(model, temperature):
    counts, probabilities, draws = await frequencies(model, {"temperature": temperature})
    assert_drawn_from(counts, probabilities, draws)
    assert len(counts) > 5


async def test_top_k_and_top_p_leave_the_rest_out_and_keep_the_proportions(model):
    counts, probabilities, draws = await frequencies(model, {"temperature": 1.0, "top_k": 3})
    kept = probabilities.topk(3).indices.tolist()
    assert set(counts) == set(kept)
    masked = torch.zeros_like(probabilities)
    masked[kept] = probabilities[kept]
    assert_drawn_from(counts, masked / masked.sum(), draws)

    counts, probabilities, _ = await frequencies(model, {"temperature": 1.0, "top_p": 0.6}, draws=400)
    ordered, indices = probabilities.sort(descending=True)
    nucleus = int((ordered.cumsum(-1) < 0.6).sum()) + 1
    assert set(counts) <= set(indices[:nucleus].tolist())


async def test_another_seed_draws_another_completion_and_the_same_seed_the_same(model):
    seeds = [Sampling(temperature=1.0, max_tokens=12, seed=seed) for seed in (1, 2, 1)]
    one, two, again = [await model.curator.complete(chat("go"), seed) for seed in seeds]
    assert one.tokens.completion_ids == again.tokens.completion_ids != two.tokens.completion_ids


# Batches


@pytest.mark.parametrize("company", [1, 7, 40])
async def test_a_request_gets_the_same_answer_whoever_else_waits(model, company):
    alone = await model.executor.complete(chat("where are cups?"), FREE)
    asked = [
        model.executor.complete(other, Sampling(temperature=0.8, max_tokens=12, seed=number))
        for number, other in enumerate(others(company))
    ]
    *_, answer = await asyncio.gather(*asked, model.executor.complete(chat("where are cups?"), FREE))
    assert answer.tokens.completion_ids == alone.tokens.completion_ids
    assert answer.tokens.logprobs == pytest.approx(alone.tokens.logprobs, abs=1e-4)


async def test_a_completion_ends_with_its_stop_token_or_says_that_it_was_cut(model, words):
    asked = [
        model.curator.complete(other, Sampling(max_tokens=60, seed=number)) for number, other in enumerate(others(48))
    ]
    for completion in await asyncio.gather(*asked):
        stops = [token == words.eos_token_id for token in completion.tokens.completion_ids]
        assert len(completion.tokens.logprobs) == len(completion.tokens.completion_ids) <= 60
        if completion.finish == "stop":
            assert stops == [False] * (len(stops) - 1) + [True]
            assert completion.text == words.decode(completion.tokens.completion_ids[:-1])
        else:
            assert len(stops) == 60 and not any(stops)
            assert completion.text == words.decode(completion.tokens.completion_ids)


async def test_who_no_longer_waits_disturbs_nobody(model):
    expected = [await model.executor.complete(other, FREE) for other in others(4)]
    waiters = [asyncio.create_task(model.executor.complete(other, FREE)) for other in others(4)]
    await asyncio.sleep(0)
    waiters[0].cancel()  # before the batch begins
    await asyncio.sleep(0.01)
    waiters[1].cancel()  # while it is answered, or just before
    gone = await asyncio.gather(*waiters[:2], return_exceptions=True)
    assert [type(error) for error in gone] == [asyncio.CancelledError] * 2
    left = await asyncio.wait_for(asyncio.gather(*waiters[2:]), 20)
    assert [answer.tokens.completion_ids for answer in left] == [
        answer.tokens.completion_ids for answer in expected[2:]
    ]
    after = await asyncio.wait_for(model.executor.complete(others(1)[0], FREE), 20)
    assert after.tokens.completion_ids == expected[0].tokens.completion_ids


async def test_a_batch_that_fails_tells_each_waiter_and_the_next_one_is_answered(words):
    network = small.base()
    model = LocalModels(network, words)
    weights = network.lm_head.weight
    network.lm_head.weight = torch.nn.Parameter(weights[:, :-1])
    asked = [model.executor.complete(other, GREEDY) for other in others(3)]
    errors = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 20)
    assert all("the model failed on a batch" in str(error) for error in errors)
    assert len({id(error) for error in errors}) == 3
    network.lm_head.weight = weights
    assert (await model.executor.complete(chat("again"), GREEDY)).tokens.completion_ids


# Prompts


async def test_a_prompt_over_its_cap_is_refused_with_its_length(model):
    text = "word " * 40
    fits = await model.executor.complete(chat(text), GREEDY)
    tokens = len(fits.tokens.prompt_ids)
    with pytest.raises(PromptTooLong) as refused:
        await model.executor.complete(chat(text), Sampling(max_tokens=12, max_prompt_tokens=tokens - 1))
    assert (refused.value.tokens, refused.value.limit) == (tokens, tokens - 1)
    exact = Sampling(temperature=0, max_tokens=12, max_prompt_tokens=tokens)
    assert (await model.executor.complete(chat(text), exact)).tokens.completion_ids == fits.tokens.completion_ids


async def test_prompt_and_completion_together_stay_inside_the_context(model):
    room = Sampling(max_tokens=200)
    with pytest.raises(PromptTooLong) as refused:
        await model.executor.complete(chat("word " * 60), room)
    assert refused.value.limit == 256 - 200
    with pytest.raises(PromptTooLong, match=r"model\.context has no room for a prompt beside an answer"):
        await model.executor.complete(chat("hi"), Sampling(max_tokens=300))


async def test_the_tools_stand_in_the_curators_prompt(model, words):
    tool = {"type": "function", "function": {"name": "insert_skill", "parameters": {"properties": {"content": {}}}}}
    with_tools = await model.curator.complete(chat("hi"), GREEDY, tools=[tool])
    without = await model.curator.complete(chat("hi"), GREEDY)
    assert "insert_skill" in words.decode(with_tools.tokens.prompt_ids)
    assert "insert_skill" not in words.decode(without.tokens.prompt_ids)


def test_any_text_can_be_read_and_counted(model, words):
    for text in ["", "mug", "käse 🧀 \x00 \u202e", "<|im_end|> is a token", "\n\n\t"]:
        ids = words(text, add_special_tokens=False)["input_ids"]
        assert model.tokenizer.count(text) == len(ids)
        assert words.decode(ids) == text


async def test_what_is_in_a_batch_does_not_change_the_weights(model, adapted):
    before = copy.deepcopy(adapted.state_dict())
    await asyncio.gather(*(model.curator.complete(other, FREE) for other in others(5)))
    assert all(torch.equal(before[name], tensor) for name, tensor in adapted.state_dict().items())
