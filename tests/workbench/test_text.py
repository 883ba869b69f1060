"""Text on the screen: nothing that a terminal obeys, nothing that a reader cannot see, nothing lost in wrapping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from skillos_tui.render.marks import looks
from skillos_tui.render.text import Line, crop, fit, line, safe, text_lines, wrap

CONTROL = [
    ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
    ("a\rb", "a␍b"),
    ("bell\a", "bell␇"),
    ("\x9b31m", "⟨009B⟩31m"),
    ("safe\u202etxt.exe", "safe⟨202E⟩txt.exe"),
    ("zero\u200bwidth", "zero⟨200B⟩width"),
    ("tag\U000e0041", "tag⟨E0041⟩"),
    ("filler\u3164", "filler⟨3164⟩"),
    ("lone\ud800", "lone⟨D800⟩"),
    ("del\x7f", "del␡"),
    ("a\tb", "a   b"),
]


@pytest.mark.parametrize(("raw", "shown"), CONTROL)
def test_what_a_terminal_would_obey_or_a_reader_not_see_becomes_visible(raw: str, shown: str) -> None:
    assert safe(raw) == shown


def test_ordinary_text_of_any_script_stays_as_it_is() -> None:
    for text in ("plain", "[red]markup[/red]", "größe", "漢字", "שלום", "café"):
        assert safe(text) == text


def test_a_tower_of_combining_marks_is_cut() -> None:
    assert cell_len(safe("z" + "\u0301" * 50)) < 10


@given(st.text())
def test_safe_text_can_be_written_and_is_one_printable_line(text: str) -> None:
    shown = safe(text)
    shown.encode("utf-8")
    assert shown.isprintable()


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300), st.integers(5, 60), st.booleans())
def test_wrapping_loses_nothing_and_keeps_the_width(text: str, width: int, words: bool) -> None:
    item = line(f":{text}", indent=2)
    rows = wrap(item, width, words=words)
    plain = ["".join(part for part, _ in row) for row in rows]
    assert all(cell_len(row) <= width for row in plain)
    joined = plain[0] + "".join(row[2:] for row in plain[1:]) if plain else ""
    assert joined == safe(text)


def test_words_of_wide_characters_that_are_carried_to_the_next_row_fit_into_it() -> None:
    rows = wrap(Line((("漢a漢漢 漢aa漢a 漢a漢漢漢aa   漢漢 漢漢漢漢aa", ""),), 5), 10)
    assert max(sum(cell_len(text) for text, _ in row) for row in rows) == 10


@pytest.mark.parametrize("piece", ["`a` ", "[a](", "[", "**a", "\x1b[31m", "漢", "\u202e", "\t"])
def test_the_time_of_drawing_a_long_line_grows_with_its_length_only(piece: str) -> None:
    """With a time that grows with the square of the length, this takes minutes."""
    text = safe(piece * (300_000 // len(piece)))
    rows = wrap(Line(looks(text, "text"), 2), 80)
    assert sum(len(text) for row in rows for text, _ in row) == len(text) + 2 * (len(rows) - 1)


def test_wrapping_prefers_spaces_and_indents_what_follows() -> None:
    rows = wrap(Line((("one two three four", "muted"),), 2), 10)
    assert ["".join(text for text, _ in row) for row in rows] == ["one two ", "  three ", "  four"]


def test_a_long_text_is_cut_with_the_number_of_missing_characters() -> None:
    lines = text_lines("x" * 5000, limit=100)
    assert lines[-1].spans[0][0] == "… 4,900 more characters"


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80).map(safe), st.integers(1, 40))
def test_fitting_gives_exactly_the_cells_asked_for(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width
    assert sum(cell_len(part) for part, _ in crop(line(f":{text}"), width).spans) <= width
