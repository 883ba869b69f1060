"""The life of an edit: every pair of state and action, and the promise that only what was decided on is committed."""

from __future__ import annotations

import pytest

from engine.skills import Delete, Insert, Malformed, NotAllowed, Skill, SkillRepo, check, transition
from engine.skills.review import ACTIONS, STATES, TRANSITIONS, Action, State, actions

LIFE = """
             check    queue    approve   veto    amend    commit     conflict    undo
proposed     checked  -        -         vetoed  -        -          -           -
checked      -        pending  -         vetoed  -        -          -           -
pending      -        -        approved  vetoed  amended  -          -           -
approved     -        -        -         -       -        committed  conflicted  -
vetoed       -        -        -         -       -        -          -           pending
amended      -        -        -         -       -        committed  conflicted  -
committed    -        -        -         -       -        -          -           undone
conflicted   -        pending  -         vetoed  -        -          -           -
undone       -        pending  -         -       -        -          -           -
"""


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


def paths(state: State, seen: tuple[State, ...] = ()) -> list[tuple[State, ...]]:
    """Every way from `state` that visits no state twice."""
    nexts = {after for (known, _), after in TRANSITIONS.items() if known == state and after not in seen}
    return [(*seen, state)] + [path for after in nexts for path in paths(after, (*seen, state))]


def test_nothing_is_committed_without_checks_and_a_decision() -> None:
    committed = [path for path in paths("proposed") if path[-1] == "committed"]
    assert committed
    for path in committed:
        assert path[-2] in ("approved", "amended")
        assert "pending" in path
        assert "checked" in path or "vetoed" in path


def test_every_state_can_be_reached_and_every_decision_taken_back() -> None:
    assert {path[-1] for path in paths("proposed")} == set(STATES)
    assert all(actions(state) for state in STATES)


def test_checks_say_what_stops_an_edit_and_change_nothing() -> None:
    repo = SkillRepo.of({"a": Skill.make("a", "Use.", "Body.").text})
    assert check(Delete("a"), repo) == []
    assert check(Insert("b", Skill.make("b", "Use.", "Body.").text), repo) == []
    assert check(Insert("a", Skill.make("a", "Use.", "Body.").text), repo) == [
        "there is already a skill 'a'; use update_skill to change it"
    ]
    assert check(Malformed("<tool_call>", "it is cut off"), repo) == ["it is cut off"]
    assert list(repo) == ["a"]
