"""The likelihood of options: the scores are the model's own, whoever else asks at the same time."""

import asyncio

import pytest
import torch

from engine.models.base import Message, PromptTooLong, Sampling
from engine.models.local.loglikelihood import pose, score
from engine.models.local.models import LocalModels
from engine.recipes.pocket.tokenizer import train_tokenizer
from tests.models import small

ACTIONS = ["look", "go to box 1", "go to box 12", "take the old mug from the rack é", "wait"]
OPTIONS = [f"{action}</action>" for action in ACTIONS]
PREFIX = "<think></think><action>"
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def tokenizer():
    return small.tokenizer()


@pytest.fixture(scope="module")
def base():
    return small.base()


@pytest.fixture
def model(base, tokenizer):
    return LocalModels(base, tokenizer, context=512)


def chat(text="Get the mug."):
    return [Message("user", text)]


def ask(model, messages, options=OPTIONS, *, role="executor", prefix=PREFIX, cap=None):
    return getattr(model, role).loglikelihood(messages, prefix, list(options), cap)


def alone(model, tokenizer, messages, option):
    """The mean ln p of an option's tokens by one plain forward pass over prompt, prefix and option, with no cache."""
    turns = [{"role": message.role, "content": message.content} for message in messages]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    left = tokenizer(prompt + PREFIX, add_special_tokens=False)["input_ids"]
    whole = tokenizer(prompt + PREFIX + option, add_special_tokens=False)["input_ids"]
    assert whole[: len(left)] == left
    with torch.inference_mode():
        logprobs = model(input_ids=torch.tensor([whole])).logits[0].log_softmax(-1)
    return sum(float(logprobs[at - 1, whole[at]]) for at in range(len(left), len(whole))) / (len(whole) - len(left))


async def test_a_score_is_that_of_a_forward_pass_over_prompt_and_option(model, base, tokenizer):
    scores = await ask(model, chat())
    expected = [alone(base, tokenizer, chat(), option) for option in OPTIONS]
    assert scores == pytest.approx(expected, abs=TOLERANCE)
    assert max(expected) - min(expected) > 0.1


async def test_a_score_does_not_depend_on_the_order_of_the_options(model):
    assert (await ask(model, chat(), OPTIONS[::-1]))[::-1] == pytest.approx(await ask(model, chat()), abs=TOLERANCE)


async def test_scores_are_the_same_alone_and_in_a_batch_with_others(model, base, tokenizer):
    chats = [chat("Get the mug. " * length) for length in (1, 7, 3, 2) * 3]
    offered = [OPTIONS, OPTIONS[:2], ["wait</action>"]] * 4
    together = await asyncio.gather(*map(ask, [model] * len(chats), chats, offered))
    for messages, options, scores in zip(chats, offered, together, strict=True):
        single = await ask(LocalModels(base, tokenizer, context=512), messages, options)
        assert scores == pytest.approx(single, abs=TOLERANCE)


async def test_scores_and_completions_that_wait_together_do_not_disturb_each_other(model):
    writing = Sampling(max_tokens=8, seed=3)
    completion = await model.executor.complete(chat(), writing)
    scores = await ask(model, chat())
    mixed = await asyncio.gather(
        ask(model, chat()), model.executor.complete(chat(), writing), ask(model, chat("Wait."))
    )
    assert mixed[1].tokens == completion.tokens
    assert mixed[0] == pytest.approx(scores, abs=TOLERANCE)


@pytest.mark.parametrize("tokens_at_once", [1, 9, 1000])
def test_reading_the_options_in_pieces_changes_nothing(base, tokenizer, tokens_at_once):
    prompts = [tokenizer(text)["input_ids"] for text in ("go to box 1", "look at the old rack in the hall")]
    questions = [
        pose(tokenizer, prompt, PREFIX, options)
        for prompt, options in zip(prompts, (OPTIONS, OPTIONS[3:]), strict=True)
    ]
    whole = [score(base, [question])[0] for question in questions]
    pieces = score(base, questions, tokens_at_once)
    assert [len(row) for row in pieces] == [len(OPTIONS), 2]
    for row, expected in zip(pieces, whole, strict=True):
        assert row == pytest.approx(expected, abs=TOLERANCE)


async def test_the_executor_scores_without_the_curators_adapter(base, tokenizer):
    bare = await ask(LocalModels(base, tokenizer, context=512), chat())
    adapted = small.with_adapter(small.base()).train()
    model = LocalModels(adapted, tokenizer, context=512)
    assert await ask(model, chat()) == pytest.approx(bare, abs=TOLERANCE)
    assert await ask(model, chat(), role="curator") != pytest.approx(bare, abs=0.05)
    assert adapted.training


def test_a_token_across_the_border_of_prefix_and_option_is_scored_with_the_option():
    merging = train_tokenizer(["You are in the hall."] * 2, 300)
    question = pose(merging, [5], "You are in the ha", ["ll.", " rack"])
    scored = [merging.decode(ids[start:]) for ids, start in zip(question.branches, question.starts, strict=True)]
    assert scored == [" hall.", " rack"]


async def test_a_prompt_that_leaves_no_room_for_the_longest_option_is_too_long(model):
    with pytest.raises(PromptTooLong) as caught:
        await ask(model, chat("mug " * 600))
    assert caught.value.limit < 512
    with pytest.raises(PromptTooLong, match="limit of 5"):
        await ask(model, chat(), cap=5)


@pytest.mark.parametrize("options", [[], ["go", ""]])
async def test_options_that_are_none_or_empty_are_refused(model, options):
    with pytest.raises(ValueError, match="options"):
        await ask(model, chat(), options)
