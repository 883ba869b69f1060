"""The tokenizer: lower case, no stop words, English stems, pairs of characters where words have no spaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.skills.search.words import STOP_WORDS, count_words


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("Mugs: where the mug is.", {"mug": 2}),
        ("heating, heated, HEATS", {"heat": 3}),
        ("skill_names and file-names", {"skill": 1, "name": 2, "file": 1}),
        ("HTTP/2 on port 8080", {"http": 1, "2": 1, "port": 1, "8080": 1}),
        ("naïve Übung", {"naïv": 1, "übung": 1}),
        ("帮我更新", {"帮我": 1, "我更": 1, "更新": 1}),
        ("用Sentinel数据", {"用": 1, "sentinel": 1, "数据": 1}),
        ("the of and", {}),
        ("", {}),
        ("\0 \ud800 --- 🙂", {}),
        ("mug\ud800mug\0safe", {"mug": 2, "safe": 1}),
    ],
)
def test_words_are_counted_by_stem(text: str, counts: dict[str, int]) -> None:
    assert count_words(text) == counts


def test_stop_words_are_matched_before_they_are_stemmed() -> None:
    assert {"during", "was", "this"} - STOP_WORDS == {"during"}
    assert count_words("this was during") == {"dure": 1}


@given(st.text(), st.text())
def test_any_text_counts_and_counts_add_up(first: str, second: str) -> None:
    together = count_words(f"{first}\n{second}")
    assert together.keys() == count_words(first).keys() | count_words(second).keys()
    assert sum(together.values()) == sum(count_words(first).values()) + sum(count_words(second).values())


@pytest.mark.parametrize(
    "text",
    ["a" * 2**20, "mug " * 2**18, "数" * 2**20, "\ud800" * 2**20, "\0" * 2**20],
    ids=["one word", "one word repeated", "han", "surrogates", "nul"],
)
def test_words_are_bounded_also_in_a_megabyte_without_blanks(text: str) -> None:
    assert all(len(word) <= 255 for word in count_words(text))
