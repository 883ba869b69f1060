"""Which lines differ: exact, whatever the lines are, and with bounded work."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.review.matching import changes

lines = st.lists(st.sampled_from("abcd"), max_size=14)


@given(lines, lines)
def test_the_blocks_turn_one_text_into_the_other(old: list[str], new: list[str]) -> None:
    made, at = [], 0
    for a, b, c, d in changes(old, new):
        assert a >= at and (a < b or c < d)
        made += old[at:a] + new[c:d]
        at = b
    assert made + old[at:] == new


def test_a_line_that_is_moved_or_changed_leaves_the_others_alone() -> None:
    old = [str(number) for number in range(100)]
    new = ["seven" if line == "7" else line for line in old]
    assert changes(old, new) == [(7, 8, 7, 8)]


def test_lines_that_repeat_without_end_are_replaced_as_a_whole() -> None:
    assert changes(["a", "b"] * 3000, ["b", "b", "a"] * 3000)[0][0] == 0
