"""What is under way and what was decided here, as plain data."""

from __future__ import annotations

from engine.core.events import EditDecided
from skillos_tui.model.decisions import Decisions, Taken
from skillos_tui.model.view import Edit
from tests.workbench.recording import proposal


def edit(name: str) -> Edit:
    return Edit(proposal(1, 0, edit=name))


def test_a_decision_is_under_way_until_the_edit_has_changed() -> None:
    decisions, one = Decisions(), edit("e1")
    decisions.begin(one, "approve")
    assert decisions.word("e1") == "being approved" and decisions.word("e2") == ""
    assert decisions.catch_up({"e1": one}) == set()
    one.state, one.decided = "approved", EditDecided("e1", "approved", "ann", "", "abc")
    assert decisions.catch_up({"e1": one}) == {"e1"}
    assert decisions.word("e1") == "" and decisions.catch_up({"e1": one}) == set()


def test_an_edit_that_is_gone_is_not_under_way() -> None:
    decisions = Decisions()
    decisions.begin(edit("e1"), "veto")
    assert decisions.catch_up({}) == {"e1"} and decisions.word("e1") == ""


def test_a_refused_decision_was_none() -> None:
    decisions, one, two = Decisions(), edit("e1"), edit("e2")
    decisions.begin(one, "approve")
    decisions.begin(two, "veto")
    decisions.refuse("e1")
    decisions.refuse("e1")
    decisions.refuse("e9")
    assert decisions.taken == [Taken("e2", two.proposed.skill, "veto")] and list(decisions.under_way) == ["e2"]


def test_every_step_on_an_edit_is_kept_in_its_order() -> None:
    decisions, one = Decisions(), edit("e1")
    for action in ("approve", "undo", "ask again"):
        decisions.begin(one, action)  # type: ignore[arg-type]
    assert [taken.action for taken in decisions.taken] == ["approve", "undo", "ask again"]
