"""Real HTTP on the loopback: what slow, broken and hostile servers do to a call."""

import asyncio
import time
from email.utils import formatdate

import pytest

from engine.core.errors import ConfigError
from engine.models.base import ModelUnavailable, NotFinite, PromptTooLong, Sampling, WrongCompletion
from engine.skills import parse_operations
from tests.models.remote.opening import CHAT, INSERT, POCKET, opened
from tests.models.standin import HANG, Answer, Cut, Delayed, Raw, StandIn, Status, huge

CALL = '<tool_call>\n{"name": "insert_skill", "arguments": {"skill_name": "a-b", "content": "x"}}\n</tool_call>'


@pytest.fixture
def server():
    with StandIn() as server:
        yield server


async def ask(models, **sampling):
    return await models.curator.complete(CHAT, Sampling(**sampling), [INSERT])


async def test_the_text_is_what_was_sampled_though_the_server_parses_it(server):
    text = f"<think>why</think>\n\nso\n{CALL}"
    async with opened(server) as (models, _):
        server.script(text)
        answer = await ask(models)
        assert answer.text == text
        assert answer.tokens.completion_ids[:-1] == [*answer.tokens.completion_ids[:-1]]
        assert answer.usage.completion == len(answer.tokens.completion_ids) == len(answer.tokens.logprobs)
    async with opened(server, tokenizer="") as (models, notices):
        server.script(text)
        restored = await ask(models)
        assert parse_operations(restored.text) == parse_operations(text)
        assert models.tokenizer is None and any("model.tokenizer is not set" in notice for notice in notices)


async def test_every_filter_is_sent_so_that_the_servers_defaults_do_not_count(server):
    async with opened(server) as (models, _):
        await models.executor.complete(CHAT, Sampling(temperature=0.5, seed=7, thinking=False, stop=("\n",)))
    body = server.chats[0].body
    assert (body["temperature"], body["top_p"], body["top_k"], body["min_p"], body["seed"]) == (0.5, 1.0, -1, 0.0, 7)
    assert body["chat_template_kwargs"] == {"enable_thinking": False} and body["stop"] == ["\n"]


async def test_an_answer_ends_before_a_stop_string_also_where_the_ids_go_on(server):
    async with opened(server) as (models, _):
        server.script(Answer("one\ntwo", ids=[]), "one\ntwo")
        assert (await models.executor.complete(CHAT, Sampling(stop=("\n",)))).text == ""
        assert (await models.executor.complete(CHAT, Sampling(stop=("\n",)))).text == "one"


async def test_a_choice_is_one_of_the_options(server):
    async with opened(server) as (models, _):
        answer = await models.executor.choose(CHAT, ["go left", "go right"], Sampling())
        assert answer.text in ("go left", "go right")
        server.script("go up")
        with pytest.raises(ModelUnavailable, match="none of the 2 options"):
            await models.executor.choose(CHAT, ["go left", "go right"], Sampling())


@pytest.mark.parametrize(
    "fault",
    [Status(500), Status(502, body=b"<html>"), Cut(), Cut(share=0.99), Raw(b"{"), Raw(b"[]"), Raw(b""), huge(40)],
    ids=["500", "502", "half", "nearly whole", "no JSON", "a list", "nothing", "too large"],
)
async def test_a_fault_is_asked_again(server, fault):
    async with opened(server) as (models, _):
        server.script(fault, "yes")
        assert (await ask(models)).text == "yes"
        assert len(server.chats) == 2


async def test_a_request_that_always_fails_leaves_what_depends_on_it_unmeasured(server):
    async with opened(server) as (models, _):
        server.answer = lambda asked: Raw(b'{"choices": [{"message": 5}]}') if asked.last == "bad" else "yes"

        async def others():
            while True:
                await ask(models)

        working = asyncio.create_task(others())
        with pytest.raises(ModelUnavailable, match="cannot be read") as raised:
            await models.curator.complete([type(CHAT[0])("user", "bad")], Sampling())
        working.cancel()
        assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "when", [lambda: "1", lambda: formatdate(time.time() + 2, usegmt=True)], ids=["seconds", "date"]
)
async def test_a_server_that_is_full_is_asked_again_after_its_wait(server, when):
    async with opened(server) as (models, _):
        server.script(Status(429, headers={"Retry-After": when()}), "yes")
        began = time.monotonic()
        assert (await ask(models)).text == "yes"
        assert time.monotonic() - began > 0.5


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Status(401, "Incorrect API key"), "refuses requests with 401 Unauthorized"),
        (Status(403), "403 Forbidden"),
        (Status(400, "the roles must alternate"), "the roles must alternate"),
        (Status(404, body=b'{"detail":"Not Found"}'), "model.url"),
        (Status(404, "The model `base` does not exist."), "has no model"),
    ],
)
async def test_what_will_never_work_ends_the_run_with_what_to_change(server, fault, message):
    async with opened(server) as (models, _):
        if "does not exist" in fault.message:
            server.model = "other"
        server.script(fault)
        with pytest.raises(ConfigError, match=message):
            await ask(models)
        assert len(server.chats) == 1


async def test_a_prompt_that_is_too_long_can_be_shortened(server):
    async with opened(server) as (models, _):
        long = [type(CHAT[0])("user", "word " * 5000)]
        with pytest.raises(PromptTooLong, match="at least"):
            await models.curator.complete(long, Sampling())
        assert not server.chats  # the tokenizer knows it
        with pytest.raises(PromptTooLong) as raised:
            await models.curator.complete(CHAT, Sampling(max_prompt_tokens=5))
        assert raised.value.tokens > 5
    async with opened(server, tokenizer="") as (models, _):
        with pytest.raises(PromptTooLong) as raised:
            await models.curator.complete(long, Sampling())
        assert raised.value.limit == 4096 - 256 and raised.value.tokens > raised.value.limit


@pytest.mark.parametrize("tokenizer", [POCKET, ""])
async def test_a_prompt_that_the_server_cuts_without_a_word_is_too_long(server, tokenizer):
    server.ignores = {"return_token_ids"}
    async with opened(server, tokenizer=tokenizer) as (models, _):
        server.answer = lambda asked: Answer("yes", extra={"usage": {"prompt_tokens": 100, "completion_tokens": 2}})
        with pytest.raises(PromptTooLong, match="the limit of 100"):
            await models.executor.complete([type(CHAT[0])("user", "hello there " * 200)], Sampling())
        assert (await ask(models)).text == "yes"


async def test_another_model_than_was_asked_is_no_answer(server):
    async with opened(server) as (models, _):
        server.script(Answer("no", adapter="other"), "yes")
        assert (await ask(models)).text == "yes"


async def test_log_probabilities_that_are_no_numbers_end_the_work(server):
    async with opened(server) as (models, _):
        for broken in (float("nan"), None, -9999.0):
            server.script(Answer("yes", logprobs=[broken] * 20))
            with pytest.raises(NotFinite):
                await ask(models)
        server.script(Answer("yes", logprobs=[-0.1]))
        with pytest.raises(WrongCompletion, match="log-probabilities"):
            await ask(models)


@pytest.mark.parametrize("number", [2**40, -1, 10**6])
async def test_ids_that_no_model_of_the_tokenizer_has_end_the_work(server, number):
    async with opened(server) as (models, _):
        server.script(
            Answer("yes", choice={"token_ids": [number], "logprobs": {"content": [{"token": "y", "logprob": -1.0}]}})
        )
        with pytest.raises(WrongCompletion, match="the model's tokenizer does not have"):
            await ask(models)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "none",
        {"prompt_tokens": None, "completion_tokens": None},
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": 10**18, "completion_tokens": 10**18},
        {"prompt_tokens": "9", "completion_tokens": True},
    ],
)
async def test_counts_that_are_no_numbers_of_tokens_are_no_counts(server, usage):
    server.ignores = {"return_token_ids"}
    async with opened(server) as (models, _):
        server.script(Answer("yes", extra={"usage": usage}))
        assert (await ask(models)).usage.completion == models.tokenizer.count("yes") + 1
    async with opened(server, tokenizer="") as (models, _):
        server.script(Answer("yes", extra={"usage": usage}))
        with pytest.raises(ModelUnavailable, match="does not count tokens"):
            await ask(models)


@pytest.mark.parametrize(("cached", "known"), [(-1, None), (10**6, None), (3, 3), (3.0, 3), ("3", None)])
async def test_a_cached_part_that_cannot_be_is_not_known(server, cached, known):
    async with opened(server) as (models, _):
        server.script(Answer("yes", extra={"usage": {"prompt_tokens_details": {"cached_tokens": cached}}}))
        assert (await ask(models)).usage.cached == known


async def test_a_reason_to_end_that_is_not_known_is_unmeasured_and_no_outage(server):
    async with opened(server) as (models, _):
        server.script(Answer("an answer", finish="magic_end"))
        with pytest.raises(
            ModelUnavailable, match=r"finish_reason 'magic_end', which is not one of those that are known"
        ):
            await ask(models)
        assert len([asked for asked in server.chats if asked.last == CHAT[-1].content]) == 1
        server.script(Answer("half", finish="abort"), "whole")
        assert (await ask(models)).text == "whole"


async def test_a_server_that_sends_requests_on_is_refused_with_the_address(server):
    moved = Status(307, headers={"Location": "http://other:8000/v1/chat/completions"})
    server.on("/v1/models", moved)
    with pytest.raises(ConfigError, match=r"sends requests on to http://other:8000/v1.*set model\.url to the address"):
        async with opened(server, model=""):
            raise AssertionError


async def test_an_answer_that_was_filtered_or_refused_is_unmeasured(server):
    async with opened(server) as (models, _):
        server.script(Answer("", finish="content_filter"))
        with pytest.raises(ModelUnavailable, match="content filter"):
            await ask(models)
    server.ignores = {"return_token_ids"}
    async with opened(server) as (models, _):
        server.script(Answer("", message={"refusal": "I cannot do that", "content": None}))
        with pytest.raises(ModelUnavailable, match="I cannot do that"):
            await ask(models)
        server.script(Answer("a long answer that the server shows nobody", message={"content": None}))
        with pytest.raises(ModelUnavailable, match="shows no text"):
            await ask(models)
        server.script("")
        assert (await ask(models)).text == ""


async def test_a_call_that_is_given_up_closes_its_connection_so_that_the_server_stops(server):
    async with opened(server) as (models, _):
        server.script(HANG)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await ask(models)
        await until(lambda: server.chats[0].cancelled)


async def test_a_server_that_hangs_is_given_up_after_answer_seconds(server):
    async with opened(server, answer_seconds=2) as (models, _):
        server.script(HANG, Delayed(0.1, "yes"))
        assert (await ask(models)).text == "yes"
        await until(lambda: server.chats[0].cancelled)


async def test_a_thousand_calls_at_the_same_time(server):
    server.answer = lambda asked: Delayed(0.2, f"<action>{asked.last}</action>")
    async with opened(server, concurrency=1000, tokenizer="") as (models, _):
        chats = [[type(CHAT[0])("user", str(number))] for number in range(1000)]
        answers = await asyncio.gather(*(models.executor.complete(chat, Sampling()) for chat in chats))
        assert [answer.text for answer in answers] == [f"<action>{number}</action>" for number in range(1000)]
    assert len(server.chats) == 1000


async def test_an_outage_loses_no_call(server):
    async with opened(server) as (models, _):
        await asyncio.to_thread(server.outage, 2)
        answers = await asyncio.gather(*(ask(models) for _ in range(8)))
        assert len(answers) == 8


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
