"""Text that is safe for a terminal, and messages without passwords and tokens."""

from __future__ import annotations

import json
import time

import pytest

from engine.core.errors import SkillosError
from engine.core.text import has_credentials, json_text, printable, printable_lines, without_credentials

HOSTILE = "a\x1b[31m\x9b2J\x7f\u202e\u2066\u200b\ufeff\U000e0041\udc9b\u2028\x85b"
"""C0, DEL, C1, bidirectional and zero-width characters, a tag, a lone surrogate, separators of lines."""


def is_safe(text: str) -> bool:
    return all(character.isprintable() or character in "\n" for character in text)


def test_every_character_that_a_terminal_obeys_or_hides_is_an_escape() -> None:
    assert is_safe(printable(HOSTILE)) and "\\x9b2J" in printable(HOSTILE) and "\\udc9b" in printable(HOSTILE)
    assert "\n" not in printable("a\nb")
    assert printable_lines(f"{HOSTILE}\nb\tc") == f"{printable(HOSTILE)}\nb\\tc"


def test_text_of_all_languages_stays_as_it_is() -> None:
    assert printable("été 漢字 🚀 नमस्ते") == "été 漢字 🚀 नमस्ते"


@pytest.mark.parametrize("indent", [False, True])
@pytest.mark.parametrize("ascii", [False, True])
def test_json_has_no_character_that_a_terminal_obeys_and_reads_back_as_the_same(indent: bool, ascii: bool) -> None:
    value = {HOSTILE: [HOSTILE, "🚀 é"], "plain": 1}
    text = json_text(value, indent=indent, ascii=ascii)
    assert is_safe(text) and json.loads(text) == value
    assert text.isascii() or not ascii


@pytest.mark.parametrize("text", ["\x7f", "\x7fé"])
def test_json_in_ascii_stays_json_when_it_is_printed(text: str) -> None:
    assert json.loads(printable_lines(json_text([text], ascii=True))) == [text]


def test_json_without_a_lone_surrogate_is_escaped_too() -> None:
    text = json_text(["\x9b\u202e\x7f\U000e0041 🚀"])
    assert text == '["\\u009b\\u202e\\u007f\\udb40\\udc41 🚀"]'


SECRETS = {
    "https://ann:TOKEN@host/x": "https://…@host/x",
    "https:/ann:TOKEN@host/x": "https:/…@host/x",
    "https://TOKEN@github.com/x": "https://…@github.com/x",
    "git+https://ann:TOKEN@host": "git+https://…@host",
    "postgres://ann:TOKEN@host:5432/db": "postgres://…@host:5432/db",
    "https://ann:TO/KEN?#@host": "https://…@host",
    "https://ann%3ATOKEN@host": "https://…@host",
    "https://host/v1?api_key=TOKEN&model=x": "https://host/v1?api_key=…&model=x",
    "https://host/v1?a=b&access-token=TOKEN": "https://host/v1?a=b&access-token=…",
    "https://host/v1?X-Amz-Signature=TOKEN": "https://host/v1?X-Amz-Signature=…",
    "https://host/app#access_token=TOKEN": "https://host/app#access_token=…",
    "Authorization: Bearer TOKEN-0123456789": "Authorization: Bearer …",
    "hf_TOKENTOKENTOKENTOKEN": "…",
}


@pytest.mark.parametrize(("text", "shown"), SECRETS.items())
def test_passwords_and_tokens_are_found_and_left_out(text: str, shown: str) -> None:
    assert has_credentials(text)
    assert without_credentials(f"cannot reach '{text}', sorry") == f"cannot reach '{shown}', sorry"
    assert "TOKEN" not in str(SkillosError(f"no answer from {text}"))


@pytest.mark.parametrize("value", ["ann:TOKEN@host.example", "//ann:TOKEN@host:80", "https://ann:TO KEN@host"])
def test_a_value_as_a_whole_may_be_one_without_the_form_of_a_url(value: str) -> None:
    assert has_credentials(value)
    for quoted in (repr(value), f'"{value}"', repr(f"model.{value}")):
        assert "TO" not in without_credentials(f"there is no profile {quoted}; choose another")


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8080/@scope/name",
        "https://[::1]:80/x@y",
        "https://medium.com/@ann/post",
        "ssh://git@host/x.git",
        "git@github.com:ann/x.git",
        "Qwen/Qwen3-8B",
        "/data/sk-learn-experiments-2026",
        "words:prompts",
        "https://host/list?page=2&sort=key",
        "mail ann@host.example",
    ],
)
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert not has_credentials(text)
    assert without_credentials(text) == text
    assert without_credentials(repr(text)) == repr(text)


@pytest.mark.parametrize("piece", ["a.", "a://", "https://a:", "?token", "?aaaa", ":", "'a:", "'a://a", "@", "Bearer "])
def test_a_hostile_text_is_searched_in_linear_time(piece: str) -> None:
    began = time.monotonic()
    without_credentials(piece * 50_000)
    assert time.monotonic() - began < 5
