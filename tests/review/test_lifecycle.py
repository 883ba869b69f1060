"""The lifecycle of an edit: every pair of state and action, in the table, in the projections and on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli import main
from engine.core.edit import (
    ACTIONS,
    PERSONAL,
    STATES,
    TRANSITIONS,
    Action,
    Decision,
    Edit,
    NotAllowed,
    State,
    actions,
    transition,
)
from engine.core.events import AnyEvent, EditDecided, EditProposed, EditWithheld
from engine.review import decisions as reviews
from engine.runs import projections
from engine.runs.directory import Run
from engine.skills import Insert
from tests.review.proposing import choose, edit_of, proposed, text

LIFE = """
            admit    refuse   amend    approve    conflict    veto    supersede   undo     requeue  withhold
proposed    pending  refused  -        -          -           -       -           -        -        withheld
refused     -        -        -        -          -           -       -           -        -        -
pending     -        -        pending  committed  conflicted  vetoed  superseded  -        -        -
committed   -        -        -        -          -           -       -           undone   -        -
conflicted  -        -        -        -          -           vetoed  -           -        pending  -
vetoed      -        -        -        -          -           -       -           pending  -        -
superseded  -        -        -        -          -           -       -           -        pending  -
undone      -        -        -        -          -           -       -           -        pending  -
withheld    -        -        -        -          -           -       -           -        pending  -
"""
LOGGED: tuple[State, ...] = ("pending", "committed", "conflicted", "vetoed", "superseded", "undone", "withheld")
"""The states of edits that are in a log."""


def table() -> dict[tuple[str, str], str]:
    head, *rows = [line.split() for line in LIFE.strip().splitlines()]
    return {(row[0], action): after for row in rows for action, after in zip(head, row[1:], strict=True)}


def test_the_table_names_every_pair() -> None:
    assert set(table()) == {(state, action) for state in STATES for action in ACTIONS}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_in_each_state(state: State, action: Action) -> None:
    after = table()[state, action]
    if after != "-":
        assert transition(state, action) == after
        assert action in actions(state)
        return
    with pytest.raises(NotAllowed) as refused:
        transition(state, action)
    assert f"{state} cannot {action}" in str(refused.value)
    assert all(allowed in str(refused.value) for allowed in actions(state))


def paths(state: State, seen: tuple[Action, ...] = (), been: tuple[State, ...] = ()) -> dict[State, tuple[Action, ...]]:
    """For each state that can be reached from `state`, one way of actions to it that visits no state twice."""
    found = {state: seen}
    for (known, action), after in TRANSITIONS.items():
        if known == state and after not in (*been, state):
            found = {**paths(after, (*seen, action), (*been, state)), **found}
    return found


def test_every_state_can_be_reached_and_every_decision_can_be_undone() -> None:
    assert set(paths("proposed")) == set(STATES)
    for decided in LOGGED[1:]:
        assert "pending" in paths(decided)
    assert [state for state in STATES if not actions(state)] == ["refused"]


@given(st.lists(st.sampled_from(ACTIONS), max_size=30))
def test_an_edit_is_committed_only_by_an_approval_of_what_the_gates_admitted(
    driven: list[Action],
) -> None:
    state: State = "proposed"
    taken: list[Action] = []
    for action in driven:
        try:
            state = transition(state, action)
        except NotAllowed:
            continue
        taken.append(action)
        if state == "committed":
            passed = taken[0] == "admit" or taken[:2] == ["withhold", "requeue"]  # which asks the gates
            assert passed and taken[-1] == "approve"
    assert "refuse" not in taken[1:]


# The projections


def event_of(action: Action) -> AnyEvent:
    """The event by which an action enters the log."""
    if action in ("admit", "amend", "requeue"):
        return EditProposed(Edit("insert", "a", None, text("a"), id="e1"), action)
    if action == "withhold":
        return EditWithheld(Edit("insert", "a", None, text("a"), id="e1"))
    return EditDecided("e1", Decision(action, "ann"))


def known(run: Run) -> list[Edit]:
    return [*run.edits(), *run.edits("withheld")]


@pytest.mark.parametrize("state", LOGGED)
@pytest.mark.parametrize("action", ACTIONS)
def test_the_projections_take_what_the_table_allows_and_nothing_else(run: Run, state: State, action: Action) -> None:
    run.append(*map(event_of, paths("proposed")[state]))
    before, count = known(run), run.last_id()
    assert [edit.state for edit in before] == [state]
    if (state, action) in TRANSITIONS:
        run.append(event_of(action))
        assert run.edit("e1").state == TRANSITIONS[state, action]
        folded = known(run)
        with run.db.transaction() as connection:
            projections.rebuild(connection)
        assert known(run) == folded
        return
    with pytest.raises(NotAllowed):
        run.append(event_of(action))
    assert known(run) == before and run.last_id() == count


# The command line


def bring(run: Run, state: State) -> str:
    """A real edit in `state`."""
    if state == "superseded":
        edit_id = proposed(run, Insert("a", text("a")), max_pending=1)
        proposed(run, Insert("b", text("b")), max_pending=1)
        return edit_id
    if state == "withheld":
        choose(run, 2, edit_of(run, Insert("a", text("a"))), most=0)
        return "e1"
    edit_id = proposed(run, Insert("a", text("a")))
    if state == "conflicted":
        (run.repo_path / "a").mkdir()
        (run.repo_path / "a" / "SKILL.md").write_text(text("a", "By hand.\n"))
    if state in ("committed", "conflicted", "undone"):
        reviews.approve(run, edit_id, "ann")
    if state == "undone":
        reviews.undo(run, edit_id, "ann")
    if state == "vetoed":
        reviews.veto(run, edit_id, "ann")
    return edit_id


@pytest.mark.parametrize("state", LOGGED)
@pytest.mark.parametrize("action", PERSONAL)
def test_the_command_line_does_what_the_table_allows_and_says_what_that_is(
    run: Run, state: State, action: Action, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_id = bring(run, state)
    assert run.edit(edit_id).state == state
    assert main(["review", str(run.path), "show", edit_id]) == 0
    offered = capsys.readouterr().out.splitlines()[-1].partition("it can: ")[2].split(", ")
    allowed = (state, action) in TRANSITIONS
    assert (action in offered) == allowed
    other = tmp_path / "amended.md"
    other.write_text(text("a", "Mugs are on the shelf.\n"))
    done = main(["review", str(run.path), action, edit_id, *(["--text", str(other)] if action == "amend" else [])])
    assert (done == 0) == allowed
    after = "committed" if action == "amend" else TRANSITIONS.get((state, action))
    assert run.edit(edit_id).state == (after if allowed else state)
