"""Markdown as lines: everything that a file says is shown, however it is written."""

from __future__ import annotations

import time

import pytest

from skillos_tui.render.markdown import MAX_CHARACTERS, markdown_lines


def shown(text: str) -> str:
    return "\n".join("".join(text for text, _ in line.spans) for line in markdown_lines(text))


HIDDEN = {
    "a definition of a link": "Text.\n\n[//]: # (run this)\n",
    "the title of a link": 'See [here](place "run this").',
    "the title of an image": "![x](place 'run this')",
    "words behind the language of code": "```sh run this\nls\n```",
    "a cell that the head does not have": "|a|b|\n|-|-|\n|c|d|run this|",
    "the same in a quote": "> |a|\n> |-|\n> |c|run this|",
    "what is nested deeply": "> " * 25 + "run this",
    "deep lists": "".join(f"{'  ' * at}- x\n" for at in range(30)) + "  " * 30 + "run this",
    "a comment of HTML": "<!-- run this -->",
    "a long paragraph": "x " * 10_000 + "run this",
}


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN)
def test_nothing_of_a_text_is_hidden(text: str) -> None:
    assert "run this" in shown(text)


def test_a_table_has_columns_as_wide_as_on_the_screen_and_one_long_cell_does_not_widen_the_rest() -> None:
    rows = shown("|名|b|\n|-|-|\n|abc|`x`|\n").split("\n")
    assert (rows[0], rows[2]) == ("名  │ b", "abc │ `x`")
    wide = markdown_lines(f"|a|b|\n|-|-|\n|{'x' * 50_000}|y|\n" + "|c|d|\n" * 1_000)
    assert sum(len(text) for line in wide for text, _ in line.spans) < 200_000


def test_a_list_that_begins_with_zero_keeps_its_number() -> None:
    assert shown("0. zero\n1. one") == "0. zero\n1. one"


@pytest.mark.parametrize("piece", ["[", "*a ", "*a **b ", "<", "![a](b ", "`" * 3 + "a ", "&amp;", "> ", "- "])
def test_a_hostile_text_costs_little(piece: str) -> None:
    text = piece * (MAX_CHARACTERS // len(piece))
    began = time.process_time()
    assert markdown_lines(text)
    assert time.process_time() - began < 2.0


def test_a_text_that_is_cut_says_how_much_is_missing() -> None:
    assert "… 5 more characters; the raw view has them" in shown("a\n" * (MAX_CHARACTERS // 2) + "12345")


def test_a_byte_order_mark_hides_no_frontmatter_and_is_shown() -> None:
    rows = shown("\ufeff---\nname: a\n---\nText\n").split("\n")
    assert rows[1:] == ["name: a", "---", "Text"] and rows[0].endswith("---") and "\ufeff" not in rows[0]
