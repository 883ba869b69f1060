"""A decision is about the edit as it was shown: on another one, nothing is done. Undo and again lead back and forth."""

from __future__ import annotations

import pytest

from engine.review import decisions as reviews
from engine.review.decisions import AlreadyDecided, ReviewError
from engine.runs.directory import Run
from engine.skills import Insert, Update
from tests.runs.test_reviews import commits, proposed, skills, text


def test_an_edit_that_was_asked_again_is_not_approved_by_its_old_diff(run: Run) -> None:
    first = proposed(run, Insert("one", text("one", "First.\n")))
    second = proposed(run, Insert("one", text("one", "Second.\n")))
    seen = run.edit(second).shown
    reviews.approve(run, first, "ann")
    reviews.approve(run, second, "bob")
    reviews.requeue(run, second, "bob")
    for decide in (reviews.approve, reviews.veto):
        with pytest.raises(ReviewError, match="has changed since it was shown; nothing was done"):
            decide(run, second, "ann", shown=seen)
    assert run.edit(second).state == "pending" and skills(run) == {"one": text("one", "First.\n")}
    assert reviews.approve(run, second, "ann", shown=run.edit(second).shown).state == "approved"


def test_an_edit_that_was_amended_and_undone_elsewhere_is_not_approved_by_its_old_text(run: Run) -> None:
    edit = proposed(run, Insert("one", text("one")))
    seen = run.edit(edit).shown
    reviews.amend(run, edit, "bob", text("one", "Other.\n"))
    with pytest.raises(AlreadyDecided, match="amended by bob"):
        reviews.approve(run, edit, "ann", shown=seen)
    reviews.undo(run, edit, "bob")
    reviews.requeue(run, edit, "bob")
    with pytest.raises(ReviewError, match="has changed since"):
        reviews.approve(run, edit, "ann", shown=seen)
    assert skills(run) == {}


def test_undo_reverts_the_commit_that_was_shown_or_none(run: Run) -> None:
    edit = proposed(run, Insert("one", text("one")))
    reviews.approve(run, edit, "ann")
    seen = run.edit(edit).shown
    reviews.undo(run, edit, "bob")
    with pytest.raises(AlreadyDecided, match=r"undone by bob at .*; it can be asked again"):
        reviews.undo(run, edit, "ann", shown=seen)
    reviews.requeue(run, edit, "bob")
    reviews.approve(run, edit, "bob")
    count = commits(run)
    with pytest.raises(ReviewError, match="has changed since it was shown"):
        reviews.undo(run, edit, "ann", shown=seen)
    assert commits(run) == count and run.edit(edit).state == "approved"
    assert reviews.undo(run, edit, "ann", shown=run.edit(edit).shown).state == "undone"


def test_an_undo_is_taken_back_by_asking_again(run: Run) -> None:
    reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann")
    edit = proposed(run, Update("one", None, text("one", "Better.\n")))
    for _ in range(3):
        reviews.approve(run, edit, "ann")
        assert skills(run) == {"one": text("one", "Better.\n")}
        reviews.undo(run, edit, "ann")
        assert skills(run) == {"one": text("one")}
        assert reviews.requeue(run, edit, "ann").state == "pending"


def test_an_undone_veto_is_vetoed_again_with_another_reason(run: Run) -> None:
    edit = proposed(run, Insert("one", text("one")))
    reviews.veto(run, edit, "ann", "too vague")
    reviews.undo(run, edit, "ann")
    reviews.veto(run, edit, "ann", "too long")
    assert [r.decision.reason for r in reviews.vetoed(run, limit=5) if r.decision] == ["too long"]
