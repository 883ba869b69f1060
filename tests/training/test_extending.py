"""A finished run of k steps that is given more of them is, bit for bit, the run that had them from the start."""

import pytest
import torch
from safetensors.torch import load_file

from engine.config import load_profile, to_toml
from engine.core.events import RunStarted, StateChanged
from engine.environments.registry import open_source
from engine.jobs.registry import JOBS
from engine.jobs.train.run import draws
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.runs.measurements import finished_incomplete
from engine.training import extending
from engine.training.extending import extend
from tests.runs.samples import step_ended
from tests.training.test_trainer import make, playing
from tests.whole_loop.shell import SMALLEST, skillos, status, told

REWARDS = [1.0, 3.0, 0.25, 0.5]


def test_the_groups_and_seeds_of_a_step_do_not_depend_on_the_number_of_steps():
    few, many = (load_profile("pocket", [f"training.steps={steps}"]) for steps in (4, 80))
    source = open_source(few.environment)
    assert [draws(few, source)(step) for step in (1, 2, 4)] == [draws(many, source)(step) for step in (1, 2, 4)]


async def test_a_session_that_goes_on_with_more_steps_gets_what_one_with_all_of_them_gets(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    await make(whole, playing(REWARDS), steps=4).run(None)
    await make(parts, playing(REWARDS), steps=2).run(None)
    await make(parts, playing(REWARDS), steps=4).run(parts / "step-0002")
    for step in ("step-0003", "step-0004"):
        one, other = (load_file(folder / step / "adapter_model.safetensors") for folder in (whole, parts))
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        moments = [torch.load(folder / step / "optimizer.pt", weights_only=True)["state"] for folder in (whole, parts)]
        for number, state in moments[0].items():
            assert all(torch.equal(state[name], moments[1][number][name]) for name in ("exp_avg", "exp_avg_sq"))


# What can be extended


@pytest.fixture
def run(tmp_path):
    """A run that has finished its 4 steps, by its log."""
    config = load_profile("pocket", ["training.steps=4", "training.evaluate_every=0"])
    with Run.create(tmp_path / "run", kind="train", config_text=to_toml(config)) as run:
        run.append(RunStarted("train", "pocket", 4, 1, 0, to_toml(config)))
        run.append(*(step_ended(step) for step in range(1, 5)), StateChanged("finished"))
        yield run


def test_a_finished_run_is_not_finished_any_more_once_it_has_more_steps(run):
    assert not finished_incomplete(run)
    extend(run, 8, "ann")
    assert run.config.training.steps == 8 and finished_incomplete(run)
    [changed] = [stored.event for stored in run.events(kinds=["setting_changed"])]
    assert (changed.key, changed.before, changed.after, changed.by) == ("training.steps", "4", "8", "ann")
    extend(run, 8, "ann")
    assert len(run.events(kinds=["setting_changed"])) == 1 and JOBS.load("train").total(run.config) == 8


@pytest.mark.parametrize(
    ("steps", "why"), [(3, "has done 4 steps, which is more than 3"), (4, "has finished its 4 steps")]
)
def test_fewer_steps_than_are_done_are_refused(run, steps, why):
    with pytest.raises(RunError, match=why):
        extend(run, steps, "ann")
    assert run.config.training.steps == 4


def test_a_schedule_that_depends_on_the_number_of_steps_is_refused_with_the_reason(run, monkeypatch):
    monkeypatch.setattr(extending, "schedule_depends_on_steps", lambda training: True)
    with pytest.raises(RunError, match="the learning rate of each step depends on the number of steps"):
        extend(run, 8, "ann")


def test_a_curate_run_is_refused(tmp_path):
    config = load_profile("pocket", job="curate")
    with (
        Run.create(tmp_path / "run", kind="curate", config_text=to_toml(config)) as run,
        pytest.raises(RunError, match="is a curate run, which trains nothing"),
    ):
        extend(run, 80, "ann")


def test_a_run_with_an_engine_is_refused(run):
    with run.lock(), pytest.raises(RunError, match="an engine works on"):
        extend(run, 8, "ann")


# Real runs


@pytest.mark.slow
def test_train_with_more_steps_goes_on_to_the_checkpoints_of_a_run_that_had_them_from_the_start(tmp_path):
    alone = [*SMALLEST, "training.evaluate_every=2", "model.max_batch=1"]
    told("train", *alone, "--steps", 4, "--run", tmp_path / "whole")
    told("train", *alone, "--steps", 2, "--run", tmp_path / "parts")
    refused = skillos("train", "--run", tmp_path / "parts", "--steps", 1)
    assert refused.returncode == 1 and "has done 2 steps, which is more than 1" in refused.stderr
    assert "goes on" in told("extend", tmp_path / "parts", "--steps", 3)
    told("train", "--run", tmp_path / "parts", "--steps", 4)
    assert (status(tmp_path / "parts")["step"], status(tmp_path / "parts")["steps"]) == (4, 4)
    for step in range(1, 5):
        one, other = (
            load_file(tmp_path / name / "checkpoints" / f"step-{step:04d}" / "adapter_model.safetensors")
            for name in ("whole", "parts")
        )
        assert all(torch.equal(one[name], other[name]) for name in one)
    told("verify", tmp_path / "parts")
