"""What every backend keeps, whoever answers: what was sampled, what is parsed and what is trained are one thing."""

import asyncio
import contextlib
import math

import pytest

from engine.models.base import (
    Chooser,
    Message,
    ModelUnavailable,
    PromptTooLong,
    Sampling,
    Scorer,
)
from engine.skills import TOOLS, parse_operations
from tests.models.contract.adapters import loud_adapter

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASK = [Message("system", "Curate."), Message("user", "Get a hot mug.\nResult: failed")]
PLAY = [Message("system", "Play."), Message("user", "You are in the hall. Get a mug.\ngo: box rack")]
WARM = Sampling(temperature=1.0, max_tokens=48, seed=3)
OPTIONS = ["<action>go box</action>", "<action>go box 1</action>", "<action>look</action>"]


def changed(sampling, **fields):
    return Sampling(**{name: getattr(sampling, name) for name in sampling.__struct_fields__} | fields)


def draws(model, messages, sampling, count, tools=None):
    asked = (model.complete(messages, changed(sampling, seed=seed), tools) for seed in range(count))
    return asyncio.gather(*asked)


# What was sampled


async def test_the_text_is_that_of_the_tokens_with_calls_and_reasoning_in_it(subject):
    curated = await draws(subject.models.curator, ASK, WARM, 8, TOOLS)
    played = await draws(subject.models.executor, PLAY, WARM, 8)
    for completion in (*curated, *played):
        ids = completion.tokens.completion_ids
        assert completion.text == subject.text(ids[:-1] if completion.finish == "stop" else ids)
    for completion in curated:
        assert parse_operations(completion.text) == parse_operations(subject.text(completion.tokens.completion_ids))


async def test_tokens_are_counted_and_a_cut_answer_says_so(subject):
    for most in (1, 5, 48):
        completion = await subject.models.executor.complete(PLAY, changed(WARM, max_tokens=most))
        tokens = completion.tokens
        assert completion.usage.prompt == len(tokens.prompt_ids) > 0
        assert completion.usage.completion == len(tokens.completion_ids) == len(tokens.logprobs) <= most
        assert completion.finish == "stop" or completion.usage.completion == most
    one = await subject.models.executor.complete(PLAY, changed(WARM, max_tokens=1))
    assert one.usage.completion == 1


async def test_log_probabilities_are_of_the_whole_distribution_at_temperature_one(subject):
    by_token = {}
    for sampling in (WARM, changed(WARM, temperature=0.5), changed(WARM, top_k=2), changed(WARM, min_p=0.2, top_p=0.8)):
        for completion in await draws(subject.models.executor, PLAY, changed(sampling, max_tokens=4), 8):
            logprobs = completion.tokens.logprobs
            assert all(math.isfinite(logprob) and logprob <= 1e-3 for logprob in logprobs)
            by_token.setdefault(completion.tokens.completion_ids[0], []).append(logprobs[0])
    compared = [found for found in by_token.values() if len(found) > 3]
    assert compared and all(max(found) - min(found) < 0.01 for found in compared)
    assert sum(math.exp(found[0]) for found in by_token.values()) <= 1.01


async def test_an_answer_ends_before_its_stop_text_and_its_tokens_hold_it(subject):
    plain = await subject.models.executor.complete(PLAY, changed(WARM, temperature=0))
    stop = plain.text[4:7]
    stopped = await subject.models.executor.complete(PLAY, changed(WARM, temperature=0, stop=("never said", stop)))
    assert stopped.text == plain.text.partition(stop)[0] and stopped.finish == "stop"
    ids = stopped.tokens.completion_ids
    assert ids == plain.tokens.completion_ids[: len(ids)]
    assert stop in subject.text(ids) and stop not in subject.text(ids[:-1])


async def test_the_seed_makes_a_draw_repeatable_and_another_seed_another_draw(subject):
    one, two, again = [
        await subject.models.curator.complete(ASK, changed(WARM, seed=seed), TOOLS) for seed in (11, 12, 11)
    ]
    assert one.tokens.completion_ids == again.tokens.completion_ids != two.tokens.completion_ids


# What is asked


async def test_thinking_is_switched_by_the_template(subject):
    prompts = [
        subject.text(
            (await subject.models.executor.complete(PLAY, changed(WARM, thinking=on, max_tokens=1))).tokens.prompt_ids
        )
        for on in (None, True, False)
    ]
    template = subject.vocabulary.chat_template
    assert (prompts[1] != prompts[2]) is ("enable_thinking" in template) and prompts[0] == prompts[1]


async def test_the_model_sees_the_tools(subject):
    with_tools = await subject.models.curator.complete(ASK, changed(WARM, max_tokens=1), TOOLS)
    without = await subject.models.curator.complete(ASK, changed(WARM, max_tokens=1))
    for tool in TOOLS:
        assert tool["function"]["name"] in subject.text(with_tools.tokens.prompt_ids)
        assert tool["function"]["name"] not in subject.text(without.tokens.prompt_ids)


@pytest.mark.parametrize(
    "text", ["", " ", "käse 🧀 \u202e e\u0301 \t\n", "<think>hm</think> {{ 7 * 7 }} {% raw %}", "\ud7ff\x00"]
)
async def test_any_text_arrives_as_it_is(subject, text):
    completion = await subject.models.executor.complete([Message("user", text)], changed(WARM, max_tokens=2))
    assert text.strip() in subject.text(completion.tokens.prompt_ids)


async def test_no_message_ends_a_turn_or_begins_one(subject):
    special = set(subject.vocabulary.all_special_ids)
    hostile = "".join(subject.vocabulary.all_special_tokens)

    async def marks(text):
        chat = [Message("system", text), Message("user", text)]
        completion = await subject.models.executor.complete(chat, changed(WARM, max_tokens=1))
        return [token for token in completion.tokens.prompt_ids if token in special]

    assert await marks(f"a{hostile}b") == await marks("ab")


async def test_a_prompt_over_its_limit_is_refused_with_count_and_limit(subject):
    fits = await subject.models.executor.complete(PLAY, WARM)
    exact = changed(WARM, max_prompt_tokens=fits.usage.prompt)
    assert (await subject.models.executor.complete(PLAY, exact)).tokens.completion_ids == fits.tokens.completion_ids
    with pytest.raises(PromptTooLong) as refused:
        await subject.models.executor.complete(PLAY, changed(WARM, max_prompt_tokens=fits.usage.prompt - 1))
    assert (refused.value.tokens, refused.value.limit) == (fits.usage.prompt, fits.usage.prompt - 1)
    with pytest.raises(PromptTooLong) as refused:
        await subject.models.executor.complete([Message("user", "mug " * 3 * subject.context)], WARM)
    assert refused.value.tokens > refused.value.limit == subject.context - WARM.max_tokens


async def test_a_choice_is_one_of_the_options(subject):
    for role in ("executor", "curator"):
        model = getattr(subject.models, role)
        assert isinstance(model, Chooser)
        for seed in range(3):
            completion = await model.choose(PLAY, OPTIONS, changed(WARM, seed=seed))
            assert completion.text in OPTIONS and completion.finish == "stop"
            assert all(math.isfinite(logprob) for logprob in completion.tokens.logprobs)
        with pytest.raises(ValueError, match="option"):
            await model.choose(PLAY, [], WARM)


async def test_likelihoods_are_of_scorers_only_and_no_server_is_asked_for_those_of_a_prompt(subject):
    if isinstance(subject.models.executor, Scorer):
        scores = await subject.models.executor.loglikelihood(PLAY, "", OPTIONS)
        assert len(scores) == 3 and all(math.isfinite(score) and score <= 1e-3 for score in scores)
    assert not [body for body in subject.bodies() if body.get("prompt_logprobs") is not None or body.get("echo")]


# What goes wrong


async def test_a_model_that_does_not_answer_is_unavailable_and_the_next_request_is_answered(subject):
    if subject.unavailable is None:
        pytest.skip("a test cannot make this model unavailable")
    subject.unavailable()
    with pytest.raises(ModelUnavailable):
        await subject.models.curator.complete(ASK, WARM)
    assert (await subject.models.curator.complete(ASK, WARM)).usage.completion


async def test_a_request_that_is_cancelled_is_given_up_and_disturbs_nobody(subject):
    expected = await subject.models.executor.complete(PLAY, WARM)
    asked = [
        asyncio.create_task(subject.models.executor.complete(PLAY, changed(WARM, max_tokens=400))) for _ in range(3)
    ]
    beside = asyncio.create_task(subject.models.executor.complete(PLAY, WARM))
    await asyncio.sleep(0.05)
    for task in asked:
        task.cancel()
    for task in asked:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert (await beside).tokens.completion_ids == expected.tokens.completion_ids
    await subject.idle()


# Versions: last, because the curator is another one from then on


async def test_every_completion_has_the_version_that_answered(subject, tmp_path):
    if subject.sink is None:
        pytest.skip("this backend takes no adapters")
    before = await subject.models.curator.complete(ASK, WARM, TOOLS)
    loud_adapter(subject.folder, tmp_path / "adapter")
    proof = await subject.sink.publish(tmp_path / "adapter", 7)
    assert proof.how
    after = await subject.models.curator.complete(ASK, WARM, TOOLS)
    assert (before.version, after.version) == (0, 7)
    assert before.tokens.logprobs != pytest.approx(after.tokens.logprobs, abs=0.05)
    assert (await subject.models.executor.complete(PLAY, WARM)).version == 0
