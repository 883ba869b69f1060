"""A field of text shows every character, sends no control character, and gives the text back exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.widgets.text_area import Document

from skillos_tui.render.stand_ins import StandIns
from skillos_tui.render.text import is_hidden
from skillos_tui.screens.review.screen import ReviewScreen
from skillos_tui.widgets.field import ExactField
from tests.workbench.reviewing import NEW, review, title, update, updated_run
from tests.workbench.stage import on_screen, until

HOSTILE = "a\x1b[31mb\x1b]0;title\x07 \x9b2J \u202etxt\u2066 \u200b\u2028\x0b\x85 ␛⠁ 👩\u200d👧 \t."
PIECES = ["a", "\n", "\r\n", "\r", "\x1b", "\x85", "\u2028", "\u202e", "␛", "⠁", "\t", "\x7f", "\ue000", "é"]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_a_text_comes_back_from_a_field_exactly_as_it_was(text: str) -> None:
    stand_ins = StandIns(text)
    shown = Document(stand_ins.shown(text)).text
    assert stand_ins.exact
    assert stand_ins.written(shown) == text
    assert not any(is_hidden(char) for char in shown if char not in "\n\t")


def test_line_ends_of_one_kind_are_not_shown_and_those_of_several_are() -> None:
    assert StandIns("a\r\nb\r\n").shown("a\r\nb\r\n") == "a\nb\n"
    mixed = StandIns("a\r\nb\n")
    assert mixed.shown("a\r\nb\n") == "a␍\nb\n" and mixed.legend == "␍ stands for 000D"


def test_a_text_with_more_hidden_characters_than_stand_ins_is_not_exact() -> None:
    text = "".join(map(chr, range(0xE000, 0xF000)))
    stand_ins = StandIns(text)
    stand_ins.shown(text)
    assert not stand_ins.exact


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
async def test_hidden_characters_of_an_edit_are_shown_in_the_field_and_kept(tmp_path: Path, ends: str) -> None:
    text = (NEW + HOSTILE + "\n").replace("\n", ends)
    run = updated_run(tmp_path / "run", update("e1", text, advantage=0.9))
    async with review(run, first="update · open-shut") as pilot:
        await pilot.press("E")
        await until(pilot, "⠂ stands for 001B")
        seen = on_screen(pilot)
        assert all(char.isprintable() or char == "\n" for char in seen)
        field = pilot.app.screen.query_one(ExactField)
        field.move_cursor(field.document.end)
        pilot.app.post_message(events.Paste("one\r\ntwo\x1b"))
        await until(pilot, "two", 8)
        assert "\x1b" not in on_screen(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "your text" in title(pilot))
        screen = pilot.app.screen
        assert isinstance(screen, ReviewScreen)
        assert screen.working(run.edit("e1")).own == f"{text}one{ends}two\x1b"
