"""A document of any length opens at once: its rows are made when they come into view."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from engine.runs.rollouts.lines import Block, say_line
from skillos_tui.render.text import safe
from skillos_tui.widgets import document
from skillos_tui.widgets.document import DocumentRows


def texts(rows: DocumentRows) -> list[str]:
    return ["".join(text for text, _ in row) for row in rows]


def test_rows_are_the_lines_in_their_order_and_long_ones_are_broken_after_words() -> None:
    rows = DocumentRows([say_line("strong:Title"), Block("one\n\ntwo words and more", "muted", "  ")], 12)
    with pytest.raises(IndexError):
        rows[5]
    assert rows[-1] == rows[4] and rows[1:2] == [rows[1]]
    assert texts(rows) == ["Title", "  one", "  ", "  two words ", "  and more"]
    assert rows[1] == (("  one", "muted"),)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80), st.integers(4, 40))
def test_no_row_is_wider_than_the_pane_and_none_obeys_an_escape(text: str, width: int) -> None:
    rows = DocumentRows([Block(text, "", " ")], width)
    assert len(texts(rows)) == len(rows)
    for row in texts(rows):
        assert row == safe(row) and (cell_len(row) <= width or len(row) <= 2)


@pytest.mark.parametrize("line", ["x" * 300, "ü" * 300, "漢" * 300, "word " * 60])
def test_where_many_lines_are_long_all_of_their_text_is_shown(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setattr(document, "MAX_WRAPPED", 2)
    rows = DocumentRows([Block("\n".join([line] * 5))], 40)
    assert "".join(texts(rows)) == line * 5
    assert all(cell_len(row) <= 40 for row in texts(rows))
    assert [rows.line_at(rows.row_of(at)) for at in range(5)] == [0, 1, 2, 3, 4]


def test_a_hundred_thousand_lines_take_little_more_than_reading_them() -> None:
    text = "\n".join(f"line {number} of a long observation" for number in range(100_000))
    began = time.process_time()
    rows = DocumentRows([Block(text, "muted", "     ")], 100)
    assert "".join(t for t, _ in rows[60_000]) == "     line 60000 of a long observation"
    assert len(rows) == 100_000 and time.process_time() - began < 2.0


def test_the_line_under_the_cursor_has_its_style_in_all_of_its_rows() -> None:
    rows = DocumentRows([say_line("accent:a skill with a long name", leads="skills:x"), say_line(":plain")], 12)
    assert rows.leads == [(0, "skills:x")]
    rows.cursor, rows.style = 0, "cursor"
    assert [{style for _, style in row} for row in rows] == [*[{"cursor"}] * (len(rows) - 1), {""}]
