"""What is known of an edit's worth, and the queue by skill."""

import msgspec
import pytest

from engine.core.edit import Edit, Provenance, Standing
from engine.core.findings import Finding
from engine.review.worth import grouped, order, why, worth


def edit(name, *advantages, scores=None, findings=(), state="pending", id="e1"):
    standing = Standing(0.97, advantages, 8) if advantages else None
    made = Edit("insert", name, None, f"{id}\n", id=id, provenance=Provenance(standing=standing))
    return msgspec.structs.replace(made, scores=scores or {}, findings=findings, state=state)


def finding(severity):
    return Finding("rule", severity, 1, "m")


def test_of_one_lucky_rollout_half_counts_and_of_agreeing_ones_more():
    assert worth(edit("a", 0.4)) == pytest.approx(0.2)
    assert worth(edit("a", 0.4, 0.4, 0.4)) == pytest.approx(0.3)
    assert worth(edit("a", 0.4, -0.4)) == 0.0


def test_gates_add_what_they_measured_and_findings_take_some():
    assert worth(edit("a", scores={"holdout": 0.6, "probe": 0.4})) == pytest.approx(0.5)
    marked = edit("a", 0.4, scores={"holdout": 0.5}, findings=tuple(map(finding, ("warning", "danger", "info"))))
    assert worth(marked) == pytest.approx(0.2 + 0.5 - 0.05 - 0.25)


def test_what_nothing_measured_has_no_worth_and_says_so():
    assert worth(edit("a", findings=(finding("warning"),))) is None
    assert why(edit("a")) == "not measured: no reward of a step, and no gate score"


def test_why_says_what_the_worth_is_made_of():
    said = why(edit("a", 0.33, 0.1, scores={"holdout": 0.6}, findings=(finding("warning"),)))
    assert said == "r 0.97 (+0.33 over its group), 2 of 8 rollouts leave it, holdout 0.60, 1 audit warning"


def test_the_queue_has_one_entry_a_skill_the_most_promising_first():
    edits = [
        edit("a", 0.1, id="e1"),
        edit("b", id="e2"),
        edit("c", 0.9, id="e3"),
        edit("a", 0.2, id="e4"),
        edit("d", id="e5"),
    ]
    entries = grouped(edits)
    assert [(entry.skill, entry.newest.id, [old.id for old in entry.older]) for entry in entries] == [
        ("c", "e3", []),
        ("a", "e4", ["e1"]),
        ("b", "e2", []),
        ("d", "e5", []),
    ]
    assert entries[1].worth == pytest.approx(0.1) and entries[2].worth is None


def test_an_edit_that_waits_stands_over_newer_ones_that_are_decided():
    (entry,) = grouped([edit("a", id="e1"), edit("a", id="e2", state="superseded")])
    assert entry.newest.id == "e1" and [old.id for old in entry.older] == ["e2"]


def test_of_equal_worth_the_one_that_more_rollouts_leave_is_first():
    one, two = edit("a", 0.0), edit("b", 0.5, -0.5)
    assert sorted([one, two], key=order) == [two, one]
