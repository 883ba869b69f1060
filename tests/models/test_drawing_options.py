"""Stop texts, min_p and constrained choices of the local model."""

import asyncio
import math
from collections import Counter

import pytest
import torch

from engine.models.base import Chooser, Message, PromptTooLong, Sampling
from engine.models.local.choosing import Options, Walk
from engine.models.local.models import LocalModels
from engine.models.local.stopping import cut
from tests.models import small

CHAT = [Message("user", "where is the mug?")]
OPTIONS = ["go to box 1", "go to box 12", "go to box", "look"]


@pytest.fixture(scope="module")
def model():
    return LocalModels(small.with_adapter(small.base()), small.tokenizer(), context=512)


def drawn(model, sampling, seeds=range(24)):
    return asyncio.gather(
        *(model.executor.complete(CHAT, Sampling(**{"max_tokens": 20, **sampling, "seed": seed})) for seed in seeds)
    )


# Stop texts


async def test_the_text_ends_before_the_first_stop_and_the_tokens_are_what_was_sampled(model):
    free = await drawn(model, {})
    stops = tuple(completion.text[9:12] for completion in free[:6])  # within tokens and over their borders
    for plain, stopped in zip(free, await drawn(model, {"stop": stops}), strict=True):
        assert plain.text.startswith(stopped.text) and cut(stopped.text, stops) is None
        ids = stopped.tokens.completion_ids
        assert ids == plain.tokens.completion_ids[: len(ids)]
        assert stopped.tokens.logprobs == pytest.approx(plain.tokens.logprobs[: len(ids)], abs=1e-4)
        if cut(plain.text, stops) is not None:
            assert stopped.finish == "stop" and stopped.text == cut(plain.text, stops)
            sampled = [model.vocabulary.decode(part) for part in (ids, ids[:-1])]
            assert [cut(text, stops) is not None for text in sampled] == [True, False]  # no token after the stop
        else:
            assert (stopped.text, stopped.finish, ids) == (plain.text, plain.finish, plain.tokens.completion_ids)


async def test_a_stop_of_many_bytes_is_found_though_its_characters_are_spread_over_tokens(model):
    words, text = model.vocabulary, "mug 🧀é!"
    target = words("go " + text + " rack", add_special_tokens=False)["input_ids"]
    written = LocalModels(writing(small.base(), target), words, context=512)
    completion = await written.executor.complete(CHAT, Sampling(temperature=0, max_tokens=60, stop=("🧀é",)))
    assert (completion.text, completion.finish) == ("go mug ", "stop")
    assert words.decode(completion.tokens.completion_ids) == "go mug 🧀é"


def writing(base, ids):
    """A model that writes `ids`, whatever it is asked."""
    state = {"at": 0}

    def force(module, given, logits):
        forced = torch.full_like(logits, -30.0)
        forced[..., ids[min(state["at"], len(ids) - 1)]] = 0.0
        state["at"] += 1
        return forced

    base.lm_head.register_forward_hook(force)
    return base


# min_p


async def test_min_p_leaves_out_what_is_less_likely_than_its_share_of_the_likeliest(model):
    several = range(400)
    [plain] = await drawn(model, {"max_tokens": 1}, [0])
    with torch.inference_mode(), model.network.disable_adapter():
        logits = model.network(torch.tensor([plain.tokens.prompt_ids])).logits[0, -1]
    probabilities = logits.softmax(-1)
    kept = set((probabilities >= 0.2 * probabilities.max()).nonzero().flatten().tolist())
    counts = Counter(
        completion.tokens.completion_ids[0]
        for completion in await drawn(model, {"max_tokens": 1, "min_p": 0.2}, several)
    )
    assert len(kept) > 1 and set(counts) <= kept
    share = probabilities[list(kept)] / probabilities[list(kept)].sum()
    for token, p in zip(kept, share.tolist(), strict=True):
        assert abs(counts[token] - 400 * p) < 4.5 * math.sqrt(400 * p * (1 - p)) + 1


# Choices


def test_a_walk_allows_only_what_can_still_become_an_option():
    options = Options([[5, 9], [5, 9, 7], [6], [6]], ends={2, 3})
    walk = Walk(options)
    assert walk.allowed == [5, 6]
    for token, allowed in ((5, [9]), (9, [7, 2, 3]), (7, [2, 3])):
        walk.take(token)
        assert (walk.allowed, walk.option) == (allowed, None)
    walk.take(3)
    walk.take(0)  # padding
    assert (walk.allowed, walk.option) == (None, 1)
    walk = Walk(options)
    walk.take(6)
    walk.take(2)
    assert walk.option == 2


async def test_a_choice_is_drawn_token_by_token_among_the_options(model):
    assert isinstance(model.executor, Chooser)
    asked = [model.executor.choose(CHAT, OPTIONS, Sampling(seed=seed, max_tokens=1)) for seed in range(600)]
    made = await asyncio.gather(*asked)
    words = model.vocabulary
    for completion in made[:20]:
        assert completion.finish == "stop"
        assert words.decode(completion.tokens.completion_ids[:-1]) == completion.text
        assert completion.tokens.completion_ids[-1] == words.eos_token_id
    counts = Counter(completion.text for completion in made)
    assert set(counts) <= set(OPTIONS)
    prompt = made[0].tokens.prompt_ids
    ids = [[*each, words.eos_token_id] for each in words(OPTIONS, add_special_tokens=False)["input_ids"]]
    for option, path in zip(OPTIONS, ids, strict=True):
        p = 1.0
        with torch.inference_mode(), model.network.disable_adapter():
            logits = model.network(torch.tensor([prompt + path])).logits[0]
        for at, token in enumerate(path):
            open_to = sorted({other[at] for other in ids if other[:at] == path[:at]})
            p *= float(logits[len(prompt) + at - 1][open_to].softmax(-1)[open_to.index(token)])
        assert abs(counts[option] - 600 * p) < 4.5 * math.sqrt(600 * p * (1 - p)) + 1


async def test_choices_of_any_lengths_share_a_batch_with_others_and_do_not_disturb_them(model):
    writing = Sampling(max_tokens=8, seed=3)
    free = await model.executor.complete(CHAT, writing)
    offered = [OPTIONS, ["look"], ["wait <think></think> é", "take the old mug from the rack"]]
    one, two, three, beside = await asyncio.gather(
        *(model.executor.choose(CHAT, options, Sampling(seed=1)) for options in offered),
        model.executor.complete(CHAT, writing),
    )
    assert one.text in offered[0] and two.text == "look" and three.text in offered[2]
    assert beside.tokens == free.tokens
    again = await model.executor.choose(CHAT, OPTIONS, Sampling(seed=1))
    assert again.tokens.completion_ids == one.tokens.completion_ids


async def test_the_likeliest_path_is_taken_at_temperature_zero_and_top_k_keeps_an_option(model):
    for sampling in (Sampling(temperature=0), Sampling(top_k=1), Sampling(top_p=0.01, min_p=0.9)):
        first = {(await model.executor.choose(CHAT, OPTIONS, sampling)).text for _ in range(2)}
        assert len(first) == 1 and first <= set(OPTIONS)


@pytest.mark.parametrize("options", [[], ["go", ""]])
async def test_options_that_are_none_or_empty_are_refused(model, options):
    with pytest.raises(ValueError, match="options"):
        await model.executor.choose(CHAT, options, Sampling())


async def test_a_choice_needs_room_for_its_longest_option(model):
    with pytest.raises(PromptTooLong) as caught:
        await model.executor.choose([Message("user", "mug " * 600)], OPTIONS, Sampling())
    assert 480 < caught.value.limit < 512
    with pytest.raises(PromptTooLong, match="limit of 5"):
        await model.executor.choose(CHAT, OPTIONS, Sampling(max_prompt_tokens=5))
