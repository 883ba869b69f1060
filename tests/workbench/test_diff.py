"""Diffs: exact and whole, whatever the texts are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skillos_tui.render.diff import Comparison, counts, difference
from skillos_tui.widgets.diff import DiffRows

lines_of = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12).map(
    lambda parts: "".join(f"{p}\n" for p in parts)
)


def shown(before: str | None, after: str | None, context: int | None = None) -> list[str]:
    return ["".join(text for text, _ in item.spans) for item in difference(before, after, context=context)]


@given(lines_of, lines_of)
def test_both_texts_can_be_read_back_from_the_diff(before: str, after: str) -> None:
    rows = shown(before, after)
    old = "".join(f"{row[2:]}\n" for row in rows if row[0] in " -")
    new = "".join(f"{row[2:]}\n" for row in rows if row[0] in " +")
    assert (old, new) == (before, after)


def test_a_new_file_is_all_added_and_a_removed_one_all_removed() -> None:
    assert shown(None, "x\ny\n") == ["+ x", "+ y"]
    assert shown("x\n", None) == ["- x"]


def test_what_cannot_be_seen_is_marked() -> None:
    assert shown("x\n", "x  \n") == ["- x", "+ x··"]
    assert shown("x\n", "x") == ["- x", "+ x ⏎ missing at the end"]
    assert shown(None, "\u202eevil\n") == ["+ ⟨202E⟩evil"]
    assert shown(None, "a\r\n\x85b\n") == ["+ a␍", "+ ⟨0085⟩b"]


def test_context_leaves_out_what_is_far_from_a_change() -> None:
    before = "".join(f"{n}\n" for n in range(20))
    assert shown(before, before.replace("10\n", "ten\n"), context=1) == ["…", "  9", "- 10", "+ ten", "  11", "…"]


def test_a_line_moved_or_changed_leaves_the_others_unchanged() -> None:
    before = "".join(f"{n}\n" for n in range(100))
    after = before.replace("50\n", "fifty\n").replace("7\n", "seven\n", 1)
    assert counts(before, after) == (2, 2)


def test_no_text_blocks_it() -> None:
    assert counts("a\n" * 2000, "a\nb\n" * 1000)[0] >= 1000
    assert counts("".join(f"x{n}\n" for n in range(9000)), "".join(f"y{n}\n" for n in range(9000))) == (9000, 9000)


@given(
    st.lists(st.sampled_from("abcd"), max_size=12),
    st.lists(st.sampled_from("abcd"), max_size=12),
    st.frozensets(st.integers(0, 3)),
    st.booleans(),
)
def test_rows_with_another_choice_of_hunks_are_those_that_are_made_anew(
    old: list[str], new: list[str], left: frozenset[int], paired: bool
) -> None:
    found = Comparison("\n".join(old), "\n".join(new))
    before = DiffRows(found, 30, None, paired, frozenset({1}), 0)
    list(before)  # all are drawn
    assert list(before.chosen(left, 1)) == list(DiffRows(found, 30, None, paired, left, 1))


def test_another_hunk_under_the_cursor_lays_no_row_out_again() -> None:
    before = DiffRows(Comparison("a\nb\nc\n", f"x\nb\n{'y ' * 1000}\n"), 30, None, False, frozenset(), 0)
    drawn = list(before)
    after = before.chosen(frozenset(), 1)
    assert after[8] is drawn[8] and after[0] != drawn[0] and len(after) == len(drawn)
