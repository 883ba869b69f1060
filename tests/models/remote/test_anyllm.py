"""The backend `anyllm`: a provider with an API of its own, here a stand-in in the form of Anthropic's."""

import json

import pytest

from engine.core.errors import ConfigError
from engine.core.events import Notice
from engine.models.anyllm.kind import KIND
from engine.models.anyllm.opening import open_models
from engine.models.anyllm.settings import AnyLLMModelSettings
from engine.models.base import Message, Opening, PromptTooLong, Sampling
from engine.skills import parse_operations
from tests.models.remote.opening import CHAT, INSERT
from tests.models.standin import StandIn, Status, parsing
from tests.models.standin.server import json_response, response_of

CALL = '<tool_call>\n{"name": "insert_skill", "arguments": {"skill_name": "a-b", "content": "x \\"y\\""}}\n</tool_call>'


class AnthropicStandIn(StandIn):
    """Answers at /v1/messages, in Anthropic's form."""

    async def _respond(self, asked):
        if asked.path != "/v1/messages":
            return await super()._respond(asked)
        answer = self._scripted.popleft() if self._scripted else self.answer(asked)
        if isinstance(answer, Status):
            return response_of(answer)
        if asked.body.get("temperature", 1) > 1:
            return response_of(Status(400, body=fault("temperature: range: 0..1")))
        content, calls = parsing.split_calls(answer)
        parts = [{"type": "text", "text": content}] if content else []
        for number, call in enumerate(calls):
            function = call["function"]
            parts.append(
                {
                    "type": "tool_use",
                    "id": f"t{number}",
                    "name": function["name"],
                    "input": json.loads(function["arguments"]),
                }
            )
        usage = {"input_tokens": 50 + 20 * bool(asked.body.get("tools")), "output_tokens": 20}
        stop = "tool_use" if calls else "end_turn"
        message = {"id": "m", "type": "message", "role": "assistant", "model": asked.body["model"], "content": parts}
        return json_response(message | {"stop_reason": stop, "stop_sequence": None, "usage": usage})


def fault(message):
    return json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": message}}).encode()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "planted-key-value")
    with AnthropicStandIn() as server:
        server.answer = lambda asked: "<action>look</action>"
        yield server


async def opened(server, notices=None, **settings):
    given = {"url": server.url.removesuffix("/v1"), "model": "claude", "retries": 0} | settings

    def emit(event):
        if isinstance(event, Notice) and notices is not None:
            notices.append(event.message)

    return await open_models(AnyLLMModelSettings(**given), Opening(emit=emit))


async def test_an_answer_of_another_api_has_its_calls_in_the_text(server):
    notices = []
    found = await opened(server, notices)
    assert any("does not take" in notice and "seed" in notice and "return_token_ids" in notice for notice in notices)
    server.script(f"So.\n{CALL}", "yes")
    answer = await found.models.curator.complete(
        [Message("system", "curate"), *CHAT], Sampling(max_tokens=90), [INSERT]
    )
    assert parse_operations(answer.text) == parse_operations(CALL)
    assert answer.text.startswith("So.") and answer.finish == "stop" and answer.usage.prompt == 70
    asked = server.asked[-1]
    assert asked.headers["x-api-key"] == "planted-key-value" and asked.body["max_tokens"] == 90
    assert asked.body["tools"][0]["name"] == "insert_skill"
    assert (await found.models.executor.complete(CHAT, Sampling(top_k=5))).text == "yes"
    assert server.asked[-1].body["top_k"] == 5
    await found.close()


async def test_errors_of_another_api_are_ours(server):
    found = await opened(server)
    server.script(Status(400, body=fault("prompt is too long: 210000 tokens > 200000 maximum")))
    with pytest.raises(PromptTooLong) as raised:
        await found.models.executor.complete(CHAT, Sampling())
    assert raised.value.tokens == 210000
    server.script(Status(401, body=fault("invalid x-api-key planted-key-value")))
    with pytest.raises(ConfigError, match="the key called ANTHROPIC_API_KEY is wrong") as raised:
        await found.models.executor.complete(CHAT, Sampling())
    assert "planted-key-value" not in str(raised.value)
    server.script(Status(500), "yes")
    assert (await found.models.executor.complete(CHAT, Sampling())).text == "yes"
    await found.close()


async def test_a_provider_whose_package_is_missing_says_how_to_install_it(monkeypatch, server):
    monkeypatch.setenv("GEMINI_API_KEY", "planted-key-value")
    with pytest.raises(ConfigError, match=r"pip install 'any-llm-sdk\[gemini\]'"):
        await opened(server, provider="gemini", url="")
    with pytest.raises(ConfigError, match=r"model\.provider=nobody cannot be used"):
        monkeypatch.setenv("NOBODY_API_KEY", "planted-key-value")
        await opened(server, provider="nobody", url="")


def test_a_missing_extra_is_refused_before_the_run(monkeypatch):
    monkeypatch.setattr("engine.models.anyllm.kind.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'skillos-tui\[anyllm\]'"):
        KIND.check(AnyLLMModelSettings(model="claude"))
