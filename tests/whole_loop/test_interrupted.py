"""One run that lives through everything: its terminal closed, its engine killed, paused, stopped, and resumed to its end.

Each signal is real, and arrives in the middle of a step. Nothing is lost and no step counts twice.
"""

import os
import pty
import signal
import subprocess

import msgspec
import pytest

from engine.runs import projections
from engine.runs.directory import Run
from engine.runs.measurements import measurements
from engine.runs.process import EngineProcess
from engine.runs.status import Status
from tests.whole_loop.replay import episodes
from tests.whole_loop.shell import (
    ROOT,
    ROWS,
    TINY,
    clear_away,
    command,
    frozen,
    has_turn,
    kill_engine,
    status,
    told,
    verified,
    wait_until,
)

STEPS = 3


class Story(msgspec.Struct):
    """What was seen while the run went on."""

    shell_code: int
    engine: EngineProcess
    events_when_alone: int
    killed: Status
    paused: Status
    stopped: Status


@pytest.fixture(scope="module")
def story(made):
    return made("interrupted", interrupt)[1]


@pytest.fixture(scope="module")
def run(made):
    folder, _ = made("interrupted", interrupt)
    return Run.open(folder / "run")


def interrupt(folder):
    run, shell_code = start_in_a_terminal(folder / "run")
    engine, alone = run.engine(), run.last_id()

    wait_until(lambda: has_turn(run, 2))
    kill_engine(run)
    killed, before = seen(run), run.last_id()

    told("resume", run.path)
    wait_until(lambda: has_turn(run, 2, after=before))
    with frozen(run):
        told("pause", run.path)
    wait_until(lambda: run.state().state == "paused")
    paused = seen(run)

    told("resume", run.path)
    wait_until(lambda: has_turn(run, 3))
    with frozen(run):
        told("stop", run.path)
    wait_until(lambda: run.state().state == "stopped")
    wait_until(lambda: not run.engine_alive())
    stopped = seen(run)

    told("resume", run.path)
    told("events", run.path, "--follow")
    return Story(shell_code, engine, alone, killed, paused, stopped)


TAKE_THE_TERMINAL = (
    "import os, signal; os.close(os.open(os.ttyname(0), os.O_RDWR)); signal.signal(signal.SIGHUP, signal.SIG_DFL)"
)
"""A process that leads a session makes the terminal its own by opening it. It ends when that is closed, even where these
tests run under nohup."""


def start_in_a_terminal(path):
    """Start training in a terminal, then close it: the run, and how the process ended that was hung up on."""
    ours, theirs = pty.openpty()
    arguments = ["train", *TINY, "--steps", STEPS, "--run", path]
    shell = subprocess.Popen(
        command(*arguments, first=TAKE_THE_TERMINAL),
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    wait_until(lambda: b"run " in os.read(ours, 4096))
    os.close(ours)
    wait_until(lambda: shell.poll() is not None)
    return Run.open(path), shell.returncode


def seen(run):
    return msgspec.convert(status(run.path), Status)


def states(run):
    return [stored.event.state for stored in run.events(kinds=["state_changed"])]


# The terminal


@pytest.mark.slow
def test_closing_the_terminal_kills_the_command_and_not_the_engine(run, story):
    assert story.shell_code == -signal.SIGHUP
    assert story.engine is not None
    later = [stored.event for stored in run.events(after=story.events_when_alone, kinds=["step_ended"])]
    assert later[0].step == 1


# kill -9


def test_after_kill_9_the_status_says_interrupted_and_shows_what_is_saved(story):
    assert story.killed.state == "interrupted"
    assert (story.killed.step, [step.step for step in story.killed.ended]) == (2, [1])


def test_resume_goes_on_after_the_last_saved_step(run):
    starts = [stored.event for stored in run.events(kinds=["run_started"])]
    assert [event.resumed_from for event in starts] == [0, 1, 2]
    assert len({event.pid for event in starts}) == 3
    begun = [stored.event.step for stored in run.events(kinds=["step_started"])]
    assert begun == [1, 2, 2, 3, 3]


def test_a_step_that_was_cut_off_is_repeated_with_the_same_tasks(run):
    groups = {}
    for event in (stored.event for stored in run.events(kinds=["step_started"])):
        groups.setdefault(event.step, []).append(event.groups)
    assert groups[2][0] == groups[2][1] and groups[3][0] == groups[3][1]


def test_a_killed_and_resumed_run_gets_what_an_uninterrupted_run_gets(run, trained):
    """What was said in the steps of the shared run, which nobody disturbed. Batches differ by what waits together, and so do
    floats in their last digits: a draw may rarely fall on the other side of an edge."""
    expected, got = (
        {at: episode.made.completion for at, episode in episodes(run.events()).items()} for run in (trained[0], run)
    )
    assert len(expected) == 2 * ROWS and expected.keys() < got.keys()
    assert sum(expected[at] == got[at] for at in expected) >= 0.9 * len(expected)


def test_each_step_is_there_once_and_whole(run, story):
    shown = seen(run)
    assert (shown.state, shown.step, shown.steps) == ("finished", STEPS, STEPS)
    assert [step.step for step in shown.ended] == [1, 2, 3]
    assert all((step.measured, step.unmeasured) == (ROWS, 0) for step in shown.ended)
    assert shown.ended[0] == story.killed.ended[0]
    assert sorted(path.name for path in run.checkpoints.glob("[!.]*")) == ["step-0001", "step-0002", "step-0003"]


def test_the_log_gives_every_number_of_what_stands(run):
    report = verified(run)
    assert report.differences == [] and report.unchecked == {}
    counts = [report.checked[kind] for kind in ("rewards", "advantages", "steps", "held-out")]
    assert counts == [2 * STEPS, 2 * STEPS, STEPS, 3]


def test_no_edit_is_in_the_queue_twice(run):
    """What a repeated step proposes again finds itself there."""
    edits = run.edits()
    assert len({edit.change for edit in edits}) == len(edits)


def test_the_tables_of_the_status_can_be_derived_again_from_the_log(run):
    before = (run.state(), run.steps(), run.edits())
    with run.db.transaction() as connection:
        projections.rebuild(connection)
    assert (run.state(), run.steps(), run.edits()) == before


# Pause and stop


def test_a_pause_lets_the_step_end_and_nothing_begins_until_the_resume(run, story):
    assert story.paused.state == "paused"
    assert [step.step for step in story.paused.ended] == [1, 2]
    changes = run.events(kinds=["state_changed"])
    paused = next(stored.id for stored in changes if stored.event.state == "paused")
    resumed = next(stored.id for stored in changes if stored.id > paused)
    assert {type(stored.event).__name__ for stored in run.events(after=paused, until=resumed - 1)} <= {"MemoryMeasured"}


def test_a_stop_breaks_the_step_off_and_takes_nothing_away(run, story):
    assert story.stopped.state == "stopped"
    assert [step.step for step in story.stopped.ended] == [1, 2]
    told_in_order = [state for state in states(run) if state not in ("starting", "running")]
    assert told_in_order == ["paused", "stopping", "stopped", "finished"]


# Any moment


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        "step_started",
        "curation_made",
        "rollout_scored",
        "update_made",
        "step_ended",
        "edit_proposed",
        "checkpoint_saved",
        "measurement_started",
        "held_out_measured",
    ],
)
def test_a_kill_at_any_moment_of_a_step_loses_no_step_and_no_edit(tmp_path, trained, moment):
    """Between what is logged and what is saved there is always a moment in which a crash may strike. The edits are those of
    the shared run, which nobody disturbed, but for a draw that fell on the other side of an edge."""
    path = tmp_path / "run"
    told("train", *TINY, "--steps", 2, "--run", path, "--detach")
    run = Run.open(path)
    wait_until(lambda: run.events(kinds=[moment]))
    kill_engine(run)
    told("resume", path)
    told("events", path, "--follow")
    report = verified(run)
    assert (report.differences, report.checked["steps"], report.checked["rewards"]) == ([], 2, 4)
    assert [stored.event.step for stored in run.events(kinds=["checkpoint_saved"])] == [1, 2]
    assert list(measurements(run)) == [0, 2]
    assert [step.step for step in run.steps()] == [1, 2]
    expected, got = ({(edit.skill, edit.after) for edit in one.edits()} for one in (trained[0], run))
    assert len(expected & got) >= 0.8 * len(expected)
    clear_away(tmp_path)
