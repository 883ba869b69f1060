"""One hunk of an edit, and not the whole."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.review.hunks import Hunk, hunks, lines_of, taking

BEFORE = "one\ntwo\nthree\nfour\nfive\n"
AFTER = "one\n2\nthree\nfour\nfive\nsix\n"


def test_an_edit_has_a_hunk_for_each_run_of_changed_lines():
    assert hunks(BEFORE, AFTER) == [Hunk((1, 2), (1, 2)), Hunk((5, 5), (5, 6))]
    assert hunks(BEFORE, BEFORE) == []


def test_the_text_with_some_hunks_only():
    assert taking(BEFORE, AFTER, {0}) == "one\n2\nthree\nfour\nfive\n"
    assert taking(BEFORE, AFTER, {1}) == "one\ntwo\nthree\nfour\nfive\nsix\n"
    assert taking(BEFORE, AFTER, {0, 1}) == AFTER and taking(BEFORE, AFTER, ()) == BEFORE


def test_an_insertion_and_a_deletion_are_one_hunk_each():
    assert hunks(None, AFTER) == [Hunk((0, 0), (0, 6))] and hunks(BEFORE, None) == [Hunk((0, 5), (0, 0))]
    assert taking(None, AFTER, {0}) == AFTER and taking(None, AFTER, ()) is None
    assert taking(BEFORE, None, {0}) is None and taking(BEFORE, None, ()) == BEFORE


def test_a_number_that_no_hunk_has_is_refused():
    with pytest.raises(IndexError, match="no hunk 2; the hunks are 0 to 1"):
        taking(BEFORE, AFTER, {2})


TEXTS = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n", "d\x0b\u2028\n", "e"]), max_size=9).map("".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # other work may take the processor
@given(TEXTS, TEXTS, st.data())
def test_what_is_taken_and_what_is_left_make_the_two_texts(before, after, data):
    found = hunks(before, after)
    taken = data.draw(st.sets(st.integers(0, len(found) - 1))) if found else set()
    text = taking(before, after, taken)
    assert "".join(lines_of(before)) == before
    assert taking(text, after, range(len(hunks(text, after)))) == after
    assert all(line in lines_of(before) + lines_of(after) for line in lines_of(text))
    for one, other in pairwise(found):
        assert one.old[1] < other.old[0] or one.new[1] < other.new[0]
