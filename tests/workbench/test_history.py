"""The columns over all steps of a run, and the last steps whole."""

from __future__ import annotations

import msgspec
import pytest

from engine.core.events import JudgedTwice, RewardBreakdown, RunStarted, StepEnded, UpdateMade
from engine.runs.agreement import agreement, agreement_of
from skillos_tui.model.folding import fold
from skillos_tui.model.history import KEPT, MOST, History, NoSuchStep
from skillos_tui.model.view import RunView
from tests.workbench.recording import step_events


def ended(number: int, r: float | None = 0.5, human: float | None = None, *twice: JudgedTwice) -> StepEnded:
    [event] = [event for event in step_events(1) if isinstance(event, StepEnded)]
    rewards = RewardBreakdown(r=r, r_task=r, r_fc=r, r_cnt=r, r_comp=r, r_human=human)
    return msgspec.structs.replace(event, step=number, rewards=rewards, judged_twice=[*twice])


def updated(number: int, skipped: str = "") -> UpdateMade:
    [event] = [event for event in step_events(1) if isinstance(event, UpdateMade)]
    return msgspec.structs.replace(event, step=number, skipped=skipped)


def test_a_step_without_a_summary_and_one_that_was_not_measured_have_no_value() -> None:
    history = History()
    for step in (ended(1, 0.25), ended(3, None), ended(4, 0.75)):
        history.end(step)
    assert history.r == history.r_task == [0.25, None, None, 0.75]
    assert history.newest == 4 and history.last == ended(4, 0.75)


def test_the_columns_have_every_step_and_the_summaries_the_last_ones() -> None:
    history = History()
    for number in range(1, KEPT + 51):
        history.update(updated(number, "nothing was measured" if number % 2 else ""))
        history.end(ended(number))
    assert len(history.r) == history.newest == KEPT + 50
    assert [*history.steps] == [*history.updates] == [*range(51, KEPT + 51)]
    assert len(history.skipped) == (KEPT + 50) // 2


def test_a_step_that_is_entered_again_counts_once() -> None:
    history, twice = History(), JudgedTwice(1.0, 0.5, 3)
    for _ in range(2):
        history.end(ended(1, 0.5, 1.0, twice))
        history.update(updated(1, "nothing was measured"))
    assert history.r == [0.5] and history.with_people == history.skipped == {1} and history.pairs == {(1.0, 0.5): 3}
    history.end(ended(1))
    history.update(updated(1))
    assert not history.with_people and not history.skipped and not history.pairs


def test_a_resume_takes_the_steps_after_it_back() -> None:
    history, one, two = History(), JudgedTwice(1.0, 0.5, 15), JudgedTwice(0.0, 0.5, 7)
    steps = [ended(1, 0.1, None, one), ended(2, 0.2, None, one, two), ended(3, 0.3, 1.0, two)]
    for step in steps:
        history.end(step)
        history.update(updated(step.step, "nothing was measured"))
    assert agreement_of(history.pairs) == agreement(steps)
    history.cut(2)
    assert history.r == [0.1, 0.2] and history.last == steps[1]
    assert [*history.updates] == [1, 2] and history.skipped == {1, 2} and not history.with_people
    assert agreement_of(history.pairs) == agreement(steps[:2])
    history.cut(0)
    assert history == History()


@pytest.mark.parametrize("number", [0, -1, MOST + 1, 10**18])
def test_an_impossible_step_is_refused_and_becomes_a_notice_of_the_run(number: int) -> None:
    history, view = History(), RunView()
    with pytest.raises(NoSuchStep, match=str(number)):
        history.end(ended(number))
    assert history == History()
    fold(view, RunStarted(run_kind="train", profile="pocket", steps=40, pid=2))
    assert fold(view, ended(number)) == {"notice"} and not view.history.newest
    assert f"no step {number}" in view.notices[-1].message
