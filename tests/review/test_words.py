"""People's decisions as numbers: which count, on what, and which of several."""

import pytest

from engine.core.edit import Decision, Edit
from engine.core.events import EditDecided, EditProposed
from engine.review.policies import POLICIES, signature
from engine.review.words import Words
from engine.runs.log import Stored
from tests.review.proposing import text

ONE, TWO, THREE = (text("find-mugs", body) for body in ("In the safe.\n", "In the sink.\n", "On the shelf.\n"))


def said(*events):
    words = Words()
    for number, event in enumerate(events, start=1):
        words.take(Stored(number, 0.0, event))
    return words.said()


def proposed(edit, after=ONE, *, skill="find-mugs", before=None, action="admit", **more):
    operation = "delete" if after is None else "update" if before else "insert"
    return EditProposed(Edit(operation, skill, before, after, id=edit, **more), action)


def decided(edit, action, by="ann"):
    return EditDecided(edit, Decision(action, by))


@pytest.mark.parametrize(("action", "value"), [("approve", 1.0), ("veto", -1.0)])
def test_a_decision_counts_for_equal_content_and_for_the_same_skill(action, value):
    words = said(proposed("e1"), decided("e1", action))
    assert words.on("find-mugs", ONE) == words.on("find-mugs", TWO) == value
    assert words.on("find-pots", ONE) is None


def test_equal_content_counts_before_the_same_skill_and_the_newest_before_the_oldest():
    words = said(
        *(proposed("e1"), proposed("e2", TWO), proposed("e3")),
        *(decided("e1", "veto"), decided("e3", "approve"), decided("e2", "veto")),
    )
    assert words.on("find-mugs", ONE) == 1.0 and words.on("find-mugs", TWO) == -1.0
    assert words.on("find-mugs", THREE) == -1.0


def test_an_amended_edit_gives_half_to_what_was_proposed_and_all_to_the_text_of_the_person():
    amended = proposed("e1", TWO, action="amend", original=ONE, amended_by="ann")
    words = said(proposed("e1"), amended, decided("e1", "approve"))
    assert words.on("find-mugs", ONE) == 0.5 and words.on("find-mugs", TWO) == 1.0
    assert words.on("find-mugs", THREE) == 0.5


def test_what_is_undone_does_not_count_and_what_was_said_before_does_again():
    events = [proposed("e1"), decided("e1", "approve"), proposed("e2"), decided("e2", "veto")]
    assert said(*events).on("find-mugs", ONE) == -1.0
    assert said(*events, decided("e2", "undo")).on("find-mugs", ONE) == 1.0
    assert said(*events, decided("e2", "undo"), decided("e2", "veto")).on("find-mugs", ONE) == -1.0
    assert said(proposed("e1"), decided("e1", "approve"), decided("e1", "undo")).on("find-mugs", ONE) is None


def test_neither_the_policy_nor_the_queue_nor_a_conflict_is_a_person_s_word():
    for policy in POLICIES:
        for action in ("approve", "veto"):
            assert said(proposed("e1"), decided("e1", action, by=signature(policy))).on("find-mugs", ONE) is None
    for action in ("supersede", "conflict"):
        assert said(proposed("e1"), decided("e1", action)).on("find-mugs", ONE) is None


def test_a_deletion_is_compared_with_deletions_alone():
    words = said(proposed("e1", None, before=ONE), decided("e1", "veto"))
    assert words.on("find-mugs", None) == -1.0 and words.on("find-mugs", ONE) is None


def test_a_later_decision_does_not_change_what_was_said():
    words = Words()
    for number, event in enumerate([proposed("e1"), decided("e1", "approve")], start=1):
        words.take(Stored(number, 0.0, event))
    before = words.said()
    words.take(Stored(3, 0.0, decided("e1", "undo")))
    assert before.on("find-mugs", ONE) == 1.0 and words.said().on("find-mugs", ONE) is None


def test_the_mean_is_over_the_changes_that_have_a_word():
    words = said(proposed("e1"), decided("e1", "approve"), proposed("e2", skill="find-pots"), decided("e2", "veto"))
    assert words.mean([("find-mugs", ONE), ("find-pots", ONE), ("find-cups", ONE)]) == 0.0
    assert words.mean([("find-cups", ONE)]) is None and words.mean([]) is None
