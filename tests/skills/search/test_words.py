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
        ("naïve Übung", {"naiv": 1, "ubung": 1}),
        ("débogage, De\u0301bogage, DEBOGAGE", {"debogag": 3}),
        ("straße STRASSE", {"strass": 2}),
        ("łódź, Ærø, İzmir", {"lodz": 1, "aero": 1, "izmir": 1}),
        ("ёлка елка Ελλάδα ΕΛΛΑΔΑ", {"елка": 2, "ελλαδα": 2}),
        ("ＦＵＬＬ ﬁle", {"full": 1, "file": 1}),
        ("camelCase", {"camelcas": 1, "camel": 1, "case": 1}),
        ("HTTPServer", {"httpserver": 1, "http": 1, "server": 1}),
        ("snake_case path/to/file.py", {"snake": 1, "case": 1, "path": 1, "file": 1, "py": 1}),
        ("JSON, Json, json", {"json": 3}),
        ("C++, C# and C; c++17", {"c++": 2, "c#": 1, "c": 1, "17": 1}),
        ("1+1, a+b, page#top", {"1": 2, "b": 1, "page": 1, "top": 1}),
        ("がぎ 한국", {"がぎ": 1, "한국": 1}),
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


def test_a_query_names_what_skills_have_as_a_whole_and_else_its_parts() -> None:
    assert count_words("GitHub", {"github"}.__contains__) == {"github": 1}
    assert count_words("GitHub", set[str]().__contains__) == {"github": 1, "git": 1, "hub": 1}
    assert count_words("parseJson", {"parsejson"}.__contains__) == {"parsejson": 1, "pars": 1, "json": 1}


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
