"""All weights trained by a real engine: run, resume, curate and export, on the pocket model."""

import filecmp

import pytest

from engine.runs.directory import Run
from tests.whole_loop.shell import SMALLEST, kill_engine, status, told, wait_until

FULL = [*SMALLEST, "training.method=full", "training.learning_rate=1e-4"]


@pytest.mark.slow
def test_a_run_of_all_weights_is_killed_and_resumed_bit_for_bit_exported_and_curates(place):
    whole, parts = place / "whole", place / "parts"
    told("train", *FULL, "--steps", 2, "--run", whole)
    told("train", *FULL, "--steps", 2, "--run", parts, "--detach")
    wait_until((parts / "checkpoints" / "step-0001").exists)
    with Run.open(parts) as run:
        kill_engine(run)
    told("resume", parts)
    wait_until(lambda: status(parts)["state"] == "finished")
    weights = [run / "checkpoints" / "step-0002" / "model.safetensors" for run in (whole, parts)]
    assert filecmp.cmp(*weights, shallow=False)
    told("export", f"{whole}@2", "-o", place / "model")
    assert filecmp.cmp(weights[0], place / "model" / "model.safetensors", shallow=False)
    assert "| trained | all weights |" in (place / "model" / "README.md").read_text()
    common = ("curate", "--profile", "pocket", "--review", "auto", "--tasks", 1)
    told(*common, "--curator", f"{whole}@2", "--repo", place / "skills", "--run", place / "curated")
    assert status(place / "curated")["state"] == "finished"
