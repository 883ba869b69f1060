"""The measurements that are missing in a log, after a kill, a stop or an older engine, are made by the resume."""

import shutil
import sqlite3

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.cli import main
from engine.core.events import kind_of
from engine.runs.directory import Run
from engine.runs.measurements import measurements
from tests.whole_loop.shell import (
    SMALLEST,
    copy_of,
    has_turn,
    kill_engine,
    skillos,
    status,
    told,
    verified,
    wait_until,
)

STEPS = 2
EVERY = "training.evaluate_every=1"


def killed_and_resumed(folder):
    """A run that measures itself after every step, killed in its last measurement and resumed; its status before."""
    told("train", *SMALLEST, EVERY, "--steps", STEPS, "--run", folder / "run", "--detach")
    run = Run.open(folder / "run")
    wait_until(lambda: has_turn(run, STEPS, held_out=True))
    kill_engine(run)
    before = status(run.path)
    told("resume", run.path)
    told("events", run.path, "--follow")
    return before


@pytest.fixture(scope="module")
def killed(made):
    """The run that was killed in its last measurement and resumed, and its status before."""
    folder, before = made("killed", killed_and_resumed)
    return Run.open(folder / "run"), before


def test_a_kill_in_the_last_measurement_leaves_a_run_that_is_not_finished(killed):
    _, before = killed
    assert (before["state"], before["step"]) == ("interrupted", STEPS)
    assert [result["step"] for result in before["held_out"]] == [0, 1]


def test_the_resume_makes_the_measurement_and_no_step_again(killed):
    run, _ = killed
    shown = status(run.path)
    assert (shown["state"], [result["step"] for result in shown["held_out"]]) == ("finished", [0, 1, 2])
    assert [stored.event.step for stored in run.events(kinds=["step_started"])] == [1, 2]
    assert [stored.event.step for stored in run.events(kinds=["measurement_started"])] == [0, 1, 2, 2]


def test_it_is_the_value_that_an_undisturbed_run_has_and_what_was_cut_off_does_not_count(killed, capsys):
    run, _ = killed
    assert main(["measure", str(run.path)]) == 0
    assert "the log has the same" in capsys.readouterr().out
    report = verified(run)
    assert report.differences == [] and report.checked["held-out"] == STEPS + 1


def test_nothing_is_left_to_resume(killed):
    run, _ = killed
    done = skillos("resume", run.path)
    assert done.returncode == 1 and "has finished; there is nothing to resume" in done.stderr


@pytest.mark.slow
def test_a_stop_in_the_last_measurement_owes_it_too(place):
    path = place / "run"
    told("train", *SMALLEST, EVERY, "--steps", 1, "--run", path, "--detach")
    run = Run.open(path)
    wait_until(lambda: has_turn(run, 1, held_out=True))
    told("stop", path)
    wait_until(lambda: not run.engine_alive())
    assert run.state().state == "stopped" and list(measurements(run)) == [0]
    told("resume", path)
    told("events", path, "--follow")
    assert run.state().state == "finished" and list(measurements(run)) == [0, 1]


def test_a_run_that_an_older_engine_called_finished_makes_up_for_all_that_is_missing(killed, place):
    """Results, and the note of a checkpoint. What only a checkpoint that is gone could tell is unmeasured, with why."""
    run, _ = killed
    path, expected = copy_of(run, place), measurements(run)
    shutil.rmtree(path / "checkpoints" / "step-0001")
    with sqlite3.connect(path / "run.db") as connection:
        connection.execute("DELETE FROM events WHERE kind = 'held_out_measured'")
        connection.execute("DELETE FROM events WHERE kind = 'checkpoint_saved' AND json_extract(data, '$.step') = 2")
    with Run.open(path) as again:
        last = again.last_id()
        told("resume", path)
        told("events", path, "--follow")
        found = measurements(again)
        assert again.state().state == "finished"
        for step in (0, 2):
            assert (found[step].r_task, found[step].rewards) == (expected[step].r_task, expected[step].rewards)
        assert (found[1].r_task, found[1].standard_error, found[1].unmeasured) == (None, None, 4)
        [notice] = [stored.event.message for stored in again.events(after=last, kinds=["notice"])]
        assert "the curator after step 1 cannot be measured any more: its checkpoint is gone" in notice
        [saved] = [stored.event for stored in again.events(after=last, kinds=["checkpoint_saved"])]
        assert saved.step == 2 and saved.bytes > 0


def test_a_damaged_checkpoint_is_not_measured_and_the_reason_is_given(killed, place, capsys):
    run, _ = killed
    path = copy_of(run, place)
    adapter = path / "checkpoints" / "step-0001" / "adapter_model.safetensors"
    save_file({name: tensor.fill_(torch.nan) for name, tensor in load_file(adapter).items()}, adapter)
    assert main(["measure", str(path), "--step", "1"]) == 1
    assert "the checkpoint of step 1 cannot be measured: " in capsys.readouterr().err
    with sqlite3.connect(path / "run.db") as connection:
        connection.execute("DELETE FROM events WHERE kind = 'held_out_measured' AND json_extract(data, '$.step') = 1")
    with Run.open(path) as again:
        last = again.last_id()
        told("resume", path)
        told("events", path, "--follow")
        assert again.state().state == "finished"
        assert (measurements(again)[1].r_task, measurements(again)[1].unmeasured) == (None, 4)
        [notice] = [stored.event.message for stored in again.events(after=last, kinds=["notice"])]
        assert f"after step 1 cannot be measured any more: {adapter} holds numbers that are not finite" in notice


@pytest.mark.slow
def test_a_curator_that_answers_with_nan_is_named_with_its_checkpoint_and_resumes_once_that_is_removed(place):
    """Weights may be finite and their answers not, as after a step with a huge learning rate."""
    path = place / "run"
    huge = ["training.learning_rate=1e30"]
    for arguments in (["train", *SMALLEST, EVERY, *huge, "--steps", 1, "--run", path], ["resume", path]):
        skillos(*arguments)
        told("events", path, "--follow")
        shown = status(path)
        checkpoint = path / "checkpoints" / "step-0001"
        assert shown["state"] == "failed" and "the curator's log-probabilities are not finite" in shown["reason"]
        assert "lower training.learning_rate (it is 1e+30) in the run's config.toml" in shown["reason"]
        assert f"remove {checkpoint}, from which these numbers come, and resume" in shown["reason"]
    config = path / "config.toml"
    config.write_text(config.read_text().replace("learning_rate = 1e+30", "learning_rate = 1e-4"))
    shutil.rmtree(checkpoint)
    told("resume", path)
    told("events", path, "--follow")
    assert status(path)["state"] == "finished" and [result["step"] for result in status(path)["held_out"]] == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["checkpoint_saved", "measurement_started", "held_out_measured"])
def test_a_measurement_missed_at_an_earlier_step_is_made_before_the_run_goes_on(killed, place, moment):
    run, _ = killed
    path = place / "run"
    told("train", *SMALLEST, EVERY, "--steps", STEPS, "--run", path, "--detach")
    again = Run.open(path)
    wait_until(lambda: [stored for stored in again.events(kinds=[moment]) if stored.event.step == 1])
    kill_engine(again)
    told("resume", path)
    told("events", path, "--follow")
    expected, found = measurements(run), measurements(again)
    assert [found[step].rewards for step in range(STEPS + 1)] == [expected[step].rewards for step in range(STEPS + 1)]
    kinds = ["held_out_measured", "step_started"]
    order = dict.fromkeys((kind_of(stored.event), stored.event.step) for stored in again.events(kinds=kinds))
    assert list(order) == [(kinds[0], 0), (kinds[1], 1), (kinds[0], 1), (kinds[1], 2), (kinds[0], 2)]
