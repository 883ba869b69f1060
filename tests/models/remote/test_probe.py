"""What a server takes and gives is found when it is opened, and said."""

import itertools
import json
from pathlib import Path

import pytest

from engine.core.errors import ConfigError
from engine.models.base import ModelUnavailable, Sampling
from tests.models.remote.opening import CHAT, INSERT, POCKET, opened
from tests.models.standin import Answer, StandIn, Status


def said(notices):
    (sentence,) = [notice for notice in notices if "it gives" in notice]
    return sentence


async def test_a_server_like_vllm_gives_all_that_a_trainer_needs():
    with StandIn() as server:
        async with opened(server) as (models, notices):
            assert said(notices).endswith("it gives token ids, log-probabilities, token counts")
            answer = await models.curator.complete(CHAT, Sampling(), [INSERT])
            assert answer.tokens and answer.usage.cached == 0
            assert server.chats[-1].body["tools"] == [INSERT]


async def test_a_field_that_an_error_names_is_left_out_and_the_answer_length_has_another_name():
    with StandIn(refuses={"max_tokens", "top_k", "min_p", "repetition_penalty", "return_token_ids"}) as server:
        async with opened(server) as (models, notices):
            assert "does not take max_tokens, min_p, repetition_penalty, return_token_ids, top_k" in said(notices)
            await models.executor.complete(CHAT, Sampling(top_k=20))
            assert server.chats[-1].body["max_completion_tokens"] == 256
            assert "top_k" not in server.chats[-1].body
            await models.executor.complete(CHAT, Sampling(top_k=20))
            assert sum("does not take top_k: top_k has no effect" in notice for notice in notices) == 1


async def test_fields_that_an_error_does_not_name_are_found_by_halving():
    refused = {"seed", "logprobs", "top_k"}
    with StandIn() as server:
        plain = server.answer
        server.answer = lambda asked: Status(422, body=b"bad request") if refused & set(asked.body) else plain(asked)
        async with opened(server) as (models, notices):
            assert "does not take logprobs, seed, top_k" in said(notices)
            assert (await models.executor.complete(CHAT, Sampling())).text


async def test_filters_that_are_passed_over_in_silence_are_found_by_their_effect():
    numbers = itertools.count()
    with StandIn() as server:
        server.answer = lambda asked: "same" if asked.body["top_k"] == 1 else f"text {next(numbers)}"
        async with opened(server) as (models, notices):
            assert "it ignores min_p, seed" in said(notices)
            await models.executor.complete(CHAT, Sampling(min_p=0.1, top_k=20))
            assert any("ignores min_p" in notice for notice in notices)


async def test_a_server_that_takes_no_high_temperature_is_compared_at_a_lower_one():
    with StandIn() as server:
        plain = server.answer
        server.answer = lambda asked: (
            Status(400, "temperature: 1 at most") if asked.body["temperature"] > 1 else plain(asked)
        )
        async with opened(server) as (_, notices):
            assert "ignores" not in said(notices) and "does not take" not in said(notices)


async def test_tools_that_the_template_drops_are_written_into_the_prompt():
    with StandIn(template_has_tools=False) as server:
        async with opened(server) as (models, notices):
            assert "leaves tools out of its prompt" in said(notices)
            await models.curator.complete(CHAT, Sampling(), [INSERT])
            assert "tools" not in server.chats[-1].body and "insert_skill" in server.chats[-1].prompt


async def test_a_server_without_a_parser_for_calls_leaves_them_in_the_text():
    needs = "auto tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set"
    with StandIn(tool_parser=False) as server:
        plain = server.answer

        def answer(asked):
            return Status(400, needs) if "tools" in asked.body and "tool_choice" not in asked.body else plain(asked)

        server.answer = answer
        async with opened(server) as (models, _):
            await models.curator.complete(CHAT, Sampling(), [INSERT])
            assert server.chats[-1].body["tool_choice"] == "none" and "insert_skill" in server.chats[-1].prompt


async def test_counts_that_a_server_does_not_give_are_those_of_the_tokenizer():
    with StandIn(omits={"usage"}, ignores={"return_token_ids"}) as server:
        async with opened(server) as (models, notices):
            assert "does not give token ids, token counts" in said(notices)
            usage = (await models.executor.complete(CHAT, Sampling())).usage
            assert usage.prompt == models.tokenizer.count(CHAT[0].content) and usage.completion > 1
        with pytest.raises(ConfigError, match=r"does not count tokens.*tokenizer"):
            async with opened(server, tokenizer=""):
                """Not reached."""


def write_another_tokenizer(folder):
    """The pocket model's tokenizer with the ids of its words turned by one."""
    tokenizer = json.loads(Path(POCKET, "tokenizer.json").read_bytes())
    vocabulary = tokenizer["model"]["vocab"]
    words = list(vocabulary)[260:]
    turned = [vocabulary[word] for word in words[1:] + words[:1]]
    tokenizer["model"]["vocab"] = vocabulary | dict(zip(words, turned, strict=True))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


async def test_another_tokenizer_than_the_servers_is_refused(tmp_path):
    write_another_tokenizer(tmp_path)
    with StandIn() as server, pytest.raises(ConfigError, match="not the tokenizer of the server's model"):
        async with opened(server, tokenizer=str(tmp_path)):
            """Not reached."""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "other"}, r"no model 'other'; it has: base, curator-v1"),
        ({"model": "bas"}, r"did you mean base\?"),
        ({"tokenizer": "/nowhere"}, "tokenizer=/nowhere"),
        ({"key": "NO_SUCH_KEY"}, "there is no key called NO_SUCH_KEY"),
    ],
)
async def test_what_is_wrong_is_told_with_what_to_change(settings, message, monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    with StandIn(adapters={"curator-v1": "/x"}) as server, pytest.raises(ConfigError, match=message):
        async with opened(server, **settings):
            """Not reached."""


async def test_the_only_base_is_the_model_where_none_is_named_and_its_context_is_known():
    with StandIn(adapters={"curator-v1": "/x"}, context=300) as server:
        async with opened(server) as (models, _):
            with pytest.raises(ConfigError, match=r"executor.max_tokens=300 leaves no room .* 300 tokens of base"):
                await models.executor.complete(CHAT, Sampling(max_tokens=300))


async def test_a_server_may_answer_under_a_dated_name_but_not_as_another_of_its_models():
    with StandIn(model="gpt", adapters={"other": "/x"}) as server:
        plain = server.answer
        server.answer = lambda asked: Answer(plain(asked), adapter="gpt-2026-01-01")
        async with opened(server, model="gpt") as (models, notices):
            assert "answers as gpt-2026-01-01" in said(notices)
            assert (await models.executor.complete(CHAT, Sampling())).text
        server.answer = lambda asked: Answer(plain(asked), adapter="other")
        with pytest.raises(ConfigError, match=r"answers as 'other' where model\.model=gpt"):
            async with opened(server, model="gpt"):
                """Not reached."""


async def test_a_server_without_a_list_of_models_is_asked_for_the_one_that_is_named():
    with StandIn(without={"/v1/models"}) as server:
        async with opened(server, model="base") as (models, _):
            assert (await models.executor.complete(CHAT, Sampling())).text
        with pytest.raises(ConfigError, match=r"model\.model"):
            async with opened(server):
                """Not reached."""


async def test_a_server_that_cannot_be_reached_is_told_by_its_address(monkeypatch):
    monkeypatch.setattr("engine.models.remote.probing.WAITS", (0.01,))
    with StandIn() as server:
        address = server.url
    with pytest.raises(ModelUnavailable, match=f"{address} cannot be used: connection refused; start it"):
        async with opened(server):
            """Not reached."""


async def test_azure_is_asked_by_the_name_of_the_deployment():
    with StandIn() as server:
        server.aliases["/openai/deployments/base/chat/completions"] = "/v1/chat/completions"
        azure = {"url": server.url.removesuffix("/v1"), "model": "base", "api_version": "2024-10-21"}
        async with opened(server, **azure) as (models, _):
            assert (await models.executor.complete(CHAT, Sampling())).text
        assert server.chats[-1].headers["api-key"] == "none"


async def test_fields_of_the_settings_are_in_every_request():
    body = json.dumps({"reasoning_effort": "low", "chat_template_kwargs": {"custom": 1}})
    with StandIn() as server:
        async with opened(server, body=body) as (models, _):
            await models.executor.complete(CHAT, Sampling(thinking=True))
        asked = server.chats[-1].body
        assert asked["reasoning_effort"] == "low"
        assert asked["chat_template_kwargs"] == {"custom": 1, "enable_thinking": True}


async def test_a_message_names_the_section_of_the_role():
    with StandIn(key="planted-key") as server, pytest.raises(ConfigError, match=r"set judge_model\.key"):
        async with opened(server, roles=frozenset({"judge"})):
            """Not reached."""
