"""A held-out measurement on the screen: it is seen as it goes, and counts nowhere among what trains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.core.events import AnyEvent, MeasurementStarted, PositionId, Progress, RunStarted, StateChanged, StepStarted
from engine.core.outcomes import FAILED, SUCCEEDED
from skillos_tui.model.view import RunView
from skillos_tui.widgets.state import meter, state_line, time_left
from tests.workbench.recording import (
    HELD_OUT_GROUPS,
    ROLLOUTS,
    TASKS,
    create,
    episode,
    measured,
    measuring_events,
    record_training,
    step_events,
    training_view,
)
from tests.workbench.stage import on_screen, screen_lines, until, workbench
from tests.workbench.test_live import pane
from tests.workbench.test_view import TRAIN, folded

RESUMED = RunStarted(run_kind="train", profile="pocket", steps=40, pid=2)


def state(view: RunView, shown: str = "running", silent: int = 0, width: int = 200) -> str:
    return "".join(text for text, _ in state_line(view, shown, "a-run", silent, width).spans)


def places(view: RunView) -> list[tuple[int, int, bool]]:
    """Step, position and kind of the episodes that are shown."""
    starts = [item.started.at for item in view.shown.episodes]
    return [(at.step, at.position, at.held_out) for at in starts]


# The fold


def test_before_the_first_step_the_measurement_is_what_is_seen() -> None:
    view = folded(TRAIN, *measuring_events(0, HELD_OUT_GROUPS + 1))
    assert places(view) == [(0, 1, True), (0, 2, True)]
    assert view.measuring is not None and view.measuring.groups == HELD_OUT_GROUPS


def test_a_measurement_touches_nothing_of_the_training() -> None:
    plain = folded(TRAIN, *step_events(1))
    both = folded(TRAIN, *step_events(1), *measuring_events(1, HELD_OUT_GROUPS * TASKS), measured(1))
    assert (both.episodes, both.fork, both.change) == (plain.episodes, plain.fork, plain.change)
    assert (both.rollouts, both.groups, both.outcomes, both.edits.keys()) == (ROLLOUTS, 2, {}, plain.edits.keys())


def test_a_held_out_episode_is_no_outcome_of_a_curate_run() -> None:
    curate = RunStarted(run_kind="curate", profile="pocket", steps=60, pid=1)
    assert folded(curate, *measuring_events(0, 3)).outcomes == {}


def test_the_episodes_of_training_are_shown_until_a_measurement_starts_and_again_after_it() -> None:
    trained = [(1, position, False) for position in (1, 2, 3)]
    view = folded(TRAIN, *step_events(1), *measuring_events(1, 0))
    assert places(view) == trained
    folded(*measuring_events(1, 1)[2:], view=view)
    assert places(view) == [(1, 1, True)]
    folded(measured(1), view=view)
    assert places(view) == trained and view.measuring is None


def test_after_the_first_measurement_its_episodes_stay_until_training_has_some() -> None:
    view = folded(TRAIN, *measuring_events(0, 2), measured(0), StepStarted(1, []))
    assert places(view) == [(0, 1, True)]
    folded(*episode(PositionId(1), SUCCEEDED)[:1], view=view)
    assert places(view) == [(1, 1, False)]


def test_another_group_of_the_measurement_can_be_followed_and_the_rollout_of_training_stays() -> None:
    view = folded(TRAIN, *step_events(1))
    view.follow(1, 2)
    folded(*measuring_events(1, 1), view=view)
    assert view.neighbour(-1) == (HELD_OUT_GROUPS - 1, 0)
    view.follow(*view.neighbour(-1))
    folded(*measuring_events(1, HELD_OUT_GROUPS), view=view)
    assert {item.started.at.group for item in view.shown.episodes} == {HELD_OUT_GROUPS - 1}
    folded(measured(1), view=view)
    assert (view.group, view.rollout) == (1, 2)


def test_an_interrupted_measurement_is_seen_until_it_is_made_again_and_the_two_are_not_mixed() -> None:
    view = folded(TRAIN, *measuring_events(0, HELD_OUT_GROUPS + 1), StateChanged("failed", "killed"), RESUMED)
    assert places(view) == [(0, 1, True), (0, 2, True)]
    at = PositionId(0, 0, 0, 1, held_out=True)
    folded(MeasurementStarted(0, []), *episode(at, FAILED)[:2], view=view)
    (only,) = view.shown.episodes
    assert len(only.turns) == 1 and only.ended is None and only.curation is None


def test_the_same_events_again_from_the_last_step_on_give_the_same_view() -> None:
    events = measuring_events(1, HELD_OUT_GROUPS * TASKS)
    view = folded(TRAIN, *step_events(1), *events, measured(1))
    again = [event for event in step_events(1) if hasattr(event, "at") and type(event).__name__ != "EditProposed"]
    before = (places(view), view.measuring, view.progress, view.fork)
    folded(*again, *events, measured(1), view=view)
    assert (places(view), view.measuring, view.progress, view.fork) == before


def test_a_held_out_address_is_marked() -> None:
    assert training_view().place(PositionId(10, 3, 0, 2, held_out=True)) == "held-out step 10 · g3 p2"


# What the engine does now


def progress(phase: str, done: int = 0, total: int = 0, seconds: float = 0.0, what: str = "") -> Progress:
    return Progress(phase, what, done, total, "episodes" if total else "", seconds)  # type: ignore[arg-type]


def test_loading_names_what_is_loaded() -> None:
    view = folded(StateChanged("starting"), progress("loading", what="the pocket model"))
    assert state(view, "starting").startswith("◌ loading the pocket model  │  ")
    assert state(folded(TRAIN, view=view), "running").startswith("◌ loading the pocket model")
    folded(StateChanged("failed", "no such model"), view=view)
    assert "loading" not in state(view, "failed")


def test_the_phase_has_a_count_a_bar_and_the_time_left() -> None:
    view = folded(TRAIN, progress("measuring", 55, 160, 4.2))
    assert "measuring 55/160 episodes ▮▮▯▯▯▯▯▯ about 8 s left" in state(view)
    assert "step 0 of 40" not in state(view)


@pytest.mark.parametrize("width", [78, 60, 40])
def test_a_narrow_line_keeps_the_count(width: int) -> None:
    view = folded(TRAIN, *step_events(1), progress("measuring", 55, 160, 4.2))
    line = state(view, width=width)
    assert "measuring 55/160" in line and len(line) <= width
    assert "8 s" in line or width < 60


@pytest.mark.parametrize(
    "end",
    [measured(0), step_events(1)[0], StateChanged("paused"), RESUMED, MeasurementStarted(0, [])],
    ids=lambda event: type(event).__name__,
)
def test_a_phase_ends_with_the_event_that_ends_it(end: AnyEvent) -> None:
    phase = "rollouts" if isinstance(end, MeasurementStarted) else "measuring"
    view = folded(TRAIN, progress(phase, 3, 9, 1.0), end)
    assert view.progress is None


@pytest.mark.parametrize("phase", [progress("rollouts", 73, 160, 3.0), progress("update", what="of step 2"), None])
@pytest.mark.parametrize("width", [130, 60, 55, 48])
def test_the_time_left_for_the_run_stands_with_its_steps(phase: Progress | None, width: int) -> None:
    view = folded(TRAIN, *step_events(1), *([phase] if phase else []))
    line = state(view, width=width)
    assert len(line) <= width
    if width > 55 or phase is None or phase.phase == "update":
        assert re.search(r"1(/| of )40, (about )?\d+ min left", line), line
    assert "left" not in state(view, "paused", width=width)
    assert not re.search("40, .*left", state(view, silent=60, width=width))


def test_running_again_ends_no_phase_and_a_new_phase_takes_the_place_of_the_one_before() -> None:
    view = folded(TRAIN, progress("measuring", 3, 9, 1.0), StateChanged("running"))
    assert view.progress is not None
    folded(progress("rollouts", 1, 40, 1.0), view=view)
    assert "rollouts 1/40" in state(view) and "measuring" not in state(view)


def test_no_time_is_claimed_where_none_is_known() -> None:
    assert time_left(progress("measuring", 0, 9)) == "" and time_left(progress("update", 3, 0, 5.0)) == ""
    assert time_left(progress("measuring", 9, 9, 5.0)) == "" and time_left(progress("measuring", 12, 9, 5.0)) == ""
    assert meter(progress("measuring", 158, 160)) == "▮▮▮▮▮▮▮▯" and meter(progress("measuring", 12, 9)) == "▮" * 8


def test_a_silent_engine_is_shown_without_a_time_left() -> None:
    line = state(folded(TRAIN, progress("measuring", 55, 160, 4.2)), silent=60)
    assert "(no sign of the engine for 60 s)" in line and "measuring 55/160" in line and "left" not in line


@pytest.mark.parametrize("shown", ["interrupted", "stopped", "finished", "paused"])
def test_what_is_not_at_work_shows_no_phase(shown: str) -> None:
    view = folded(TRAIN, progress("measuring", 55, 160, 4.2))
    assert "measuring" not in state(view, shown) and "step 0 of 40" in state(view, shown)


# The screen


async def test_the_first_measurement_streams_into_the_transcript(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    events = measuring_events(0, HELD_OUT_GROUPS * 2)
    with run.lock():
        run.append(TRAIN, *events[:3])
        async with workbench(run.path, size=(200, 60)) as pilot:
            await until(pilot, "measuring after step 0 · group 0")
            run.append(*events[3:])
            await until(pilot, lambda: "position 2" in pane(pilot, "transcript"))
            assert "measuring 8/12 episodes ▮▮▮▮▮▯▯▯" in screen_lines(pilot)[0]
            await pilot.press("right_square_bracket")
            await until(pilot, "measuring after step 0 · group 1")
            await until(pilot, lambda: "position 2" in pane(pilot, "transcript"))
            run.append(measured(0), StepStarted(1, []), *episode(PositionId(1), SUCCEEDED)[:2])
            await until(pilot, "Executor · step 1 · group 0 · rollout 0")
            assert "measuring" not in on_screen(pilot)


@pytest.mark.parametrize("steps", [0, 2])
async def test_a_run_opened_in_the_middle_of_a_measurement_shows_it(tmp_path: Path, steps: int) -> None:
    run = record_training(tmp_path / "run", steps=steps, planned=40, state="running")
    with run.lock():
        run.append(*measuring_events(steps, HELD_OUT_GROUPS + 1))
        async with workbench(run.path, size=(80, 24)) as pilot:
            await until(pilot, f"measuring after step {steps} · group 0")
            assert "measuring 5/12" in screen_lines(pilot)[0]
            assert pane(pilot, "transcript").count("position ") == 2
            await pilot.press("left_square_bracket")
            await until(pilot, f"measuring after step {steps} · group {HELD_OUT_GROUPS - 1}")
            await until(pilot, lambda: pane(pilot, "transcript").count("position ") == 1)


async def test_a_measurement_is_no_part_of_what_led_to_an_edit(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    run.append(*measuring_events(1, HELD_OUT_GROUPS * TASKS), measured(1), StateChanged("stopped"))
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        await pilot.press("r")
        await until(pilot, lambda: "go safe" in pane(pilot, "trajectory"))
        assert pane(pilot, "trajectory").count("position ") == 1 and "held-out" not in pane(pilot, "trajectory")


@pytest.mark.parametrize("end", [[], [StateChanged("stopped", "asked to stop")], [StateChanged("stopped"), RESUMED]])
async def test_a_run_that_was_stopped_or_killed_shows_its_last_episodes(tmp_path: Path, end: list[AnyEvent]) -> None:
    run = record_training(tmp_path / "run", steps=2, planned=12, state="running")
    run.append(StepStarted(3, []), *end)
    async with workbench(run.path) as pilot:
        await until(pilot, lambda: "position 3" in pane(pilot, "transcript"))
        assert "Executor · step 2" in on_screen(pilot)


async def test_a_resume_that_is_watched_leaves_the_transcript_until_new_episodes_come(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2, planned=12, state="running")
    run.append(StateChanged("stopped"))
    async with workbench(run.path) as pilot:
        await until(pilot, "■ stopped")
        with run.lock():
            run.append(RunStarted(run_kind="train", profile="pocket", steps=12, pid=2, resumed_from=1))
            await until(pilot, "● running")
            assert "position 3" in pane(pilot, "transcript")
            run.append(StepStarted(2, []), *episode(PositionId(2), FAILED)[:2])
            await until(pilot, lambda: "position 3" not in pane(pilot, "transcript"))
            assert pane(pilot, "transcript").count("position 1") == 1


async def test_of_a_very_long_log_the_newest_is_read(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, planned=900, state="running")
    batch: list[AnyEvent] = []
    for step in range(2, 120):
        batch += [event for event in step_events(step) if type(event).__name__ != "EditProposed"]
    run.append(*batch)
    run.append(*measuring_events(119, 3))
    with run.lock():
        async with workbench(run.path) as pilot:
            await until(pilot, "measuring after step 119 · group 0", 30)
            assert "measuring 3/12" in screen_lines(pilot)[0] and "119 of 900" in pane(pilot, "rewards")
