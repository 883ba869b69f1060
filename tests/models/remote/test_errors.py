"""What the errors of real servers mean."""

import json
import time
from email.utils import formatdate

import pytest

from engine.core.errors import ConfigError
from engine.models.base import ModelUnavailable, PromptTooLong
from engine.models.limits import Busy, Retryable
from engine.models.remote.errors import Asked, ModelMissing, Refused, error_of

ASKED = Asked("http://server/v1", "qwen", "OPENAI_API_KEY", most=1000, limit=3000)


def error(status, message="", headers=None, **fields):
    return error_of(status, headers or {}, json.dumps({"error": {"message": message, **fields}}).encode(), ASKED)


TOO_LONG = {
    "vllm, a lower bound": (
        "This model's maximum context length is 4096 tokens. However, you requested 1000 output tokens and your prompt "
        "contains at least 3097 input tokens, for a total of at least 4097 tokens. Please reduce the length of the input "
        "prompt or the number of requested output tokens.",
        {},
        (3097, 3096),
        True,
    ),
    "openai": (
        "This model's maximum context length is 4097 tokens. However, you requested 6000 tokens (5000 in the messages, 1000 "
        "in the completion). Please reduce the length of the messages or completion.",
        {"code": "context_length_exceeded"},
        (5000, 3097),
        False,
    ),
    "openai, the newer words": (
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 150000 tokens. Please "
        "reduce the length of the messages.",
        {"code": "context_length_exceeded"},
        (150000, 127000),
        False,
    ),
    "llama.cpp": (
        "the request exceeds the available context size. try increasing the context size or enable context shift",
        {"type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096},
        (9000, 3096),
        False,
    ),
    "llama-cpp-python": ("Requested tokens (5000) exceed context window of 4096", {}, (5000, 3096), False),
    "anthropic": ("prompt is too long: 210000 tokens > 200000 maximum", {}, (210000, 199000), False),
    "gemini": (
        "The input token count (40000) exceeds the maximum number of tokens allowed (32768).",
        {},
        (40000, 31768),
        False,
    ),
    "tgi": (
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20 "
        "`max_new_tokens`",
        {},
        (5000, 3096),
        False,
    ),
    "no number at all": ("Please reduce the length of the messages.", {}, (3001, 3000), True),
}


@pytest.mark.parametrize("server", TOO_LONG)
def test_a_prompt_that_is_too_long_is_told_by_its_count_or_a_lower_bound(server):
    message, fields, (tokens, limit), at_least = TOO_LONG[server]
    found = error(400, message, **fields)
    assert isinstance(found, PromptTooLong)
    assert (found.tokens, found.limit) == (tokens, limit)
    assert ("at least" in str(found)) == at_least


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 599])
def test_a_fault_of_the_server_may_be_asked_again(status):
    found = error(status, "worker died")
    assert isinstance(found, Retryable) and not isinstance(found, Busy)
    assert "worker died" in found.reason


def test_a_server_that_is_full_says_how_long_to_wait():
    assert error(429, headers={"retry-after": "7"}).after == 7
    assert error(429, headers={"retry-after-ms": "1500"}).after == 1.5
    date = formatdate(time.time() + 30, usegmt=True)
    assert 25 < error(429, headers={"retry-after": date}).after <= 31
    assert error(429, headers={"retry-after": "tomorrow"}).after is None
    assert error(429, headers={"retry-after": "99999999"}).after == 600
    assert isinstance(error(503, headers={"retry-after": "1"}), Busy)


def test_an_account_without_quota_ends_the_run():
    found = error(429, "You exceeded your current quota, please check your plan", code="insufficient_quota")
    assert isinstance(found, ConfigError) and "no quota left" in str(found)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_told_by_its_name(status):
    found = error(status, "Incorrect API key provided")
    assert isinstance(found, ConfigError)
    assert "the key called OPENAI_API_KEY" in str(found) and "Incorrect API key" in str(found)
    without = error_of(status, {}, b"", Asked("http://server/v1"))
    assert "set model.key to the name of one" in str(without)


def test_what_is_not_there_is_a_model_or_an_address():
    assert isinstance(error(404, "The model `qwen` does not exist."), ModelMissing)
    found = error_of(404, {}, b'{"detail":"Not Found"}', ASKED)
    assert isinstance(found, ConfigError) and "model.url" in str(found)
    assert "model.url" in str(error_of(301, {}, b"", ASKED))


def test_a_refused_request_keeps_what_the_server_says():
    found = error(400, "Unsupported parameter: 'max_tokens' is not supported", param="max_tokens")
    assert isinstance(found, Refused) and found.param == "max_tokens"
    assert "Unsupported parameter" in str(found)


@pytest.mark.parametrize(
    "body", [b"", b"<html>\x1b[31mno</html>", b'"text"', b"[1,2]", b"\xff\xfe", b"x" * 10**6, b"[" * 10**5]
)
def test_any_body_is_one_short_printable_line(body):
    for status in (400, 401, 404, 418, 429, 500):
        found = error_of(status, {}, body, ASKED)
        text = getattr(found, "reason", None) or str(found)
        assert text.isprintable() and len(text) < 700


def test_a_prompt_that_a_content_filter_refuses_is_unmeasured_and_no_wrong_setting():
    found = error(400, "The response was filtered due to Azure's content management policy.", code="content_filter")
    assert isinstance(found, ModelUnavailable) and "content filter" in str(found)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_answer_that_sends_requests_on_names_the_address(status):
    error = error_of(status, {"location": "https://u:secret@api.example/v1/chat"}, b"", ASKED)
    assert isinstance(error, ConfigError) and f"({status} " in str(error)
    assert "api.example/v1/chat" in str(error) and "secret" not in str(error) and "set model.url" in str(error)
