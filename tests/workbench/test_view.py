"""The fold of events: what the screens know of a run."""

from __future__ import annotations

import random

from engine.core.events import (
    AnyEvent,
    Call,
    CompletionMade,
    EditProposed,
    EpisodeEnded,
    PositionId,
    RunStarted,
    StateChanged,
    StepStarted,
    TurnTaken,
    Unreadable,
)
from engine.core.outcomes import FAILED, SUCCEEDED, unmeasured
from skillos_tui.model.episodes import EPISODE_KINDS, MAX_EPISODES
from skillos_tui.model.folding import MAX_SUPERSEDED, fold
from skillos_tui.model.view import RunView
from tests.workbench.recording import (
    GROUPS,
    ROLLOUTS,
    TASKS,
    curation,
    decision,
    episode,
    proposal,
    step_events,
    view_of,
)

TRAIN = RunStarted(run_kind="train", profile="pocket", steps=40, pid=1)
CURATE = RunStarted(run_kind="curate", profile="pocket", steps=60, pid=1)


def folded(*events: AnyEvent, view: RunView | None = None) -> RunView:
    view = view or view_of(next((event.run_kind for event in events if isinstance(event, RunStarted)), "train"))
    for event in events:
        fold(view, event)
    return view


def test_a_step_sets_the_size_the_rewards_and_the_proposals() -> None:
    view = folded(TRAIN, *step_events(1))
    assert (view.step, view.groups, view.rollouts) == (1, GROUPS, ROLLOUTS)
    assert view.history.steps[1].measured == GROUPS * ROLLOUTS * TASKS
    assert [edit.state for edit in view.edits.values()] == ["pending", "pending"]


def test_only_the_rollout_that_is_followed_is_kept() -> None:
    view = folded(TRAIN, *step_events(1), *step_events(2))
    assert [(item.started.at.step, item.started.at.position) for item in view.episodes] == [(2, 1), (2, 2), (2, 3)]
    assert {(item.started.at.group, item.started.at.rollout) for item in view.episodes} == {(0, 0)}


def test_following_another_rollout_begins_anew_and_goes_around() -> None:
    view = folded(TRAIN, *step_events(1))
    assert view.neighbour(-1) == (GROUPS - 1, ROLLOUTS - 1)
    view.follow(*view.neighbour(1))
    assert (view.group, view.rollout) == (0, 1) and view.episodes == []
    again = [event for event in step_events(1) if not isinstance(event, EditProposed)]
    assert {item.started.at.rollout for item in folded(*again, view=view).episodes} == {1}


def test_events_that_arrive_twice_or_out_of_order_give_the_same_episodes() -> None:
    at = [PositionId(1, 0, 0, position) for position in (1, 2)]
    same = CompletionMade(at[0], "after", "What helps next time?", 9, 5, "stop")
    events = [*episode(at[0], SUCCEEDED), same, same, *episode(at[1], FAILED)]
    straight = folded(TRAIN, *events)
    assert straight.episodes[0].completions == [same, same]
    turns = [event for event in events if isinstance(event, TurnTaken)]
    random.Random(1).shuffle(turns)
    assert folded(TRAIN, *events, *turns, *events).episodes == straight.episodes


def test_an_older_step_that_is_read_late_is_ignored() -> None:
    view = folded(TRAIN, *step_events(2))
    late = [event for event in step_events(1) if type(event).__name__ != "StepStarted"]
    assert folded(*late, view=view).episodes[0].started.at.step == 2


RESUMED = RunStarted(run_kind="train", profile="pocket", steps=40, pid=2, resumed_from=1)


def test_a_resume_takes_unfinished_steps_back_and_their_episodes_stay_until_new_ones_come() -> None:
    view = folded(TRAIN, *step_events(1), *step_events(2), StateChanged("failed", "killed"))
    folded(RESUMED, view=view)
    assert view.history.newest == 1 and view.state == "running"
    assert [item.started.at.position for item in view.shown.episodes] == [1, 2, 3]
    folded(*episode(PositionId(2, 0, 0, 1), FAILED)[:2], view=view)
    assert [(len(item.turns), item.ended) for item in view.shown.episodes] == [(1, None)]


def test_the_episodes_of_a_step_that_is_done_again_are_not_mixed_with_those_before() -> None:
    at = PositionId(2, 0, 0, 1)
    first = [*episode(at, SUCCEEDED), curation(at, [], {})]
    again = episode(at, FAILED)[:2]
    view = folded(TRAIN, *step_events(1), StepStarted(2, []), *first, RESUMED, StepStarted(2, []), *again)
    assert [(len(item.turns), item.ended, item.curation) for item in view.episodes] == [(1, None, None)]


def test_a_resumed_curate_run_shows_the_tasks_before_and_the_present_one_anew() -> None:
    view = folded(CURATE)
    for task in (1, 2):
        folded(StepStarted(task, []), *episode(PositionId(task), SUCCEEDED), view=view)
    folded(RunStarted(run_kind="curate", profile="pocket", steps=60, pid=2, resumed_from=1), view=view)
    assert [item.started.at.step for item in view.episodes] == [1, 2]
    folded(StepStarted(2, []), *episode(PositionId(2), FAILED)[:1], view=view)
    assert [(item.started.at.step, len(item.turns)) for item in view.episodes] == [(1, 2), (2, 0)]


def test_the_newest_change_of_the_fork_is_known() -> None:
    at = PositionId(1, 0, 0, 1)
    view = folded(TRAIN, *episode(at, SUCCEEDED), curation(at, [Call("insert", "a", "valid")], {"a": "one\n"}))
    later = PositionId(1, 0, 0, 2)
    folded(*episode(later, SUCCEEDED), curation(later, [Call("update", "a", "valid")], {"a": "two\n"}), view=view)
    assert view.change is not None
    assert (view.change.skill, view.change.before, view.change.after) == ("a", "one\n", "two\n")


def test_an_undone_veto_waits_again_and_an_undone_approval_does_not() -> None:
    view = folded(TRAIN, proposal(1, 0, edit="e1"), proposal(1, 1, edit="e2"))
    folded(decision("e1", "veto", "ann", "vague"), decision("e2", "approve", "ann", commit="abc"), view=view)
    assert view.pending == []
    folded(decision("e1", "undo", "ann"), decision("e2", "undo", "ann", commit="def"), view=view)
    assert [edit.id for edit in view.pending] == ["e1"]
    assert view.edits["e2"].state == "undone"


def test_the_newest_superseded_edits_are_kept_and_all_are_counted() -> None:
    view = folded(TRAIN)
    names = [f"e{number}" for number in range(MAX_SUPERSEDED + 5)]
    for name in names:
        folded(proposal(1, 0, edit=name), decision(name, "supersede", "the queue's limit"), view=view)
    folded(proposal(1, 0, edit="last"), view=view)
    assert list(view.edits) == [*names[5:], "last"] and view.superseded == len(names)
    assert [edit.id for edit in view.pending] == ["last"]
    folded(proposal(1, 0, edit=names[7], action="requeue"), view=view)
    assert {edit.id for edit in view.pending} == {"last", names[7]}


def test_a_curate_run_has_a_success_rate_over_measured_tasks_only() -> None:
    view = folded(CURATE)
    outcomes = [SUCCEEDED, unmeasured("outage"), FAILED]
    for task, outcome in enumerate(outcomes, 1):
        folded(StepStarted(task, []), EpisodeEnded(PositionId(task), outcome, 2, 0), view=view)
    assert view.success() == [1.0, 1.0, 0.5]


def test_a_curate_run_keeps_the_newest_episodes_across_tasks() -> None:
    view = folded(CURATE)
    for task in range(1, 30):
        folded(StepStarted(task, []), *episode(PositionId(task), SUCCEEDED), view=view)
    assert [item.started.at.step for item in view.episodes] == list(range(30 - MAX_EPISODES, 30))


def test_the_kinds_of_an_episode_are_all_that_the_fold_needs_for_one() -> None:
    from engine.core.events import kind_of

    events = [event for event in step_events(1) if kind_of(event) in EPISODE_KINDS]
    assert folded(*events).episodes == folded(*step_events(1)).episodes


def test_an_event_that_cannot_be_read_is_a_notice_once_and_later_ones_are_folded() -> None:
    view = folded(TRAIN)
    assert fold(view, Unreadable("dreamt", "a newer version")) == {"notice"}
    assert fold(view, Unreadable("dreamt", "a newer version")) == set()
    [notice] = view.notices
    assert "cannot be read (dreamt: a newer version)" in notice.message and "verify" in notice.message
    assert folded(*step_events(1), view=view).history.steps[1].measured


def test_a_decision_that_is_in_the_log_twice_is_a_notice_and_changes_nothing() -> None:
    view = folded(TRAIN, *step_events(1))
    [edit, *_] = view.edits
    event = decision(edit, "veto", "ann")
    before = dict(folded(event, view=view).edits)
    assert fold(view, event) == {"notice"} and view.edits == before
    assert "an edit that is vetoed cannot veto" in view.notices[-1].message
