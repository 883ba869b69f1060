"""The filter of the queue: every word has to fit."""

from __future__ import annotations

import msgspec
import pytest

from skillos_tui.model.review_filter import Filter
from tests.workbench.recording import proposal

EDIT = proposal(7, 0, edit="e").edit
VETOED = msgspec.structs.replace(EDIT, state="vetoed")


@pytest.mark.parametrize(
    ("text", "waiting", "vetoed"),
    [
        ("", True, True),
        ("FIND-towel", True, True),
        ("take the towel", True, True),
        ("three places", True, True),
        ("kettle", False, False),
        ("vetoed", False, True),
        ("waiting towel", True, False),
        ("decided vetoed", False, True),
        ("insert", True, True),
        ("update towel", False, False),
        ("superseded", False, False),
    ],
)
def test_words_name_states_operations_and_texts(text: str, waiting: bool, vetoed: bool) -> None:
    assert (Filter(text).admits(EDIT), Filter(text).admits(VETOED)) == (waiting, vetoed)


def test_what_is_else_left_out_is_asked_for_by_its_state() -> None:
    assert Filter("kettle superseded").old == {"superseded"} and Filter("withheld").old == {"withheld"}
    assert Filter("vetoed").old == set()
