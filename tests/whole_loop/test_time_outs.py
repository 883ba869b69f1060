"""A whole run whose episodes run out of time: each step is skipped, told and saved, and nothing of it fails."""

import pytest
import torch
from safetensors.torch import load_file

from engine.runs.directory import Run
from tests.whole_loop.shell import skillos

SETTINGS = ("groups=1", "rollouts=2", "tasks=2", "evaluate_every=0", "steps=2")


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("executor.deadline_seconds=0.001", "nothing was measured"),
        pytest.param("curator.deadline_seconds=0.001", "nothing was measured", marks=pytest.mark.slow),
    ],
)
def test_steps_in_which_everything_timed_out_leave_the_adapter_as_it_was(place, setting, why):
    path = place / "run"
    chosen = [f"training.{item}" for item in SETTINGS]
    let_fail = ("--override", "executor", "--override", "curator")
    done = skillos("train", "--profile", "pocket", "--run", path, *let_fail, "--set", *chosen, setting)
    assert "Traceback" not in done.stderr + (path / "logs" / "engine.log").read_text()
    with Run.open(path) as run:
        updates = [stored.event for stored in run.events(kinds=["update_made"])]
    assert [(update.step, update.skipped) for update in updates] == [(1, why), (2, why)]
    first, second = (
        load_file(path / "checkpoints" / f"step-000{step}" / "adapter_model.safetensors") for step in (1, 2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(value.any() for name, value in second.items() if "lora_B" in name)
