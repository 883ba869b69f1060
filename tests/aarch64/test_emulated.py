"""What the processor of a DGX Spark gives, on an emulated one: `python -m pytest -m "aarch64 and not slow"`; root, Debian,
half an hour.

`.ci/emulate-aarch64` makes the machine in .aarch64/, which is kept. A command runs on a clone of what is committed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.aarch64

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "emulate-aarch64"
SECONDS = 5400
LIGHT = (
    *("core", "agents", "rollouts", "system"),
    *(f"training/test_{name}.py" for name in ("loss", "logprobs", "samples", "selection", "gradient_checkpointing")),
    *(f"models/test_{name}.py" for name in ("local", "decoding", "batching", "loglikelihood", "attention")),
    "models/contract",
)
"""Tests that start no terminal and no engine, which are bound to time limits that emulation exceeds; half an hour."""
HEAVY = ("training", "models")
"""All tests of these folders; two hours. Run with -m "aarch64 and slow"."""
STEP = (
    "training.groups=1",
    "training.rollouts=2",
    "training.tasks=2",
    "training.evaluate_every=0",
)


@pytest.fixture(scope="module", autouse=True)
def machine() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None or platform.machine() != "x86_64":
        pytest.skip("emulating aarch64 needs root on an x86-64 Debian")
    subprocess.run([SCRIPT, "make"], check=True, timeout=1800)


def on_machine(*command: str) -> str:
    """The output of a command on the emulated machine, which ends with all its processes when it takes too long."""
    bounded = ("timeout", "--kill-after=60", str(SECONDS), SCRIPT, "run", *command)
    done = subprocess.run(bounded, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def test_the_machine_is_an_aarch64_with_a_processor_build_of_torch() -> None:
    told = on_machine("python3", "-c", "import platform, torch; print(platform.machine(), torch.cuda.is_available())")
    assert told.split() == ["aarch64", "False"]


def test_the_light_suite_passes() -> None:
    passes(*LIGHT)


@pytest.mark.slow
@pytest.mark.parametrize("folder", HEAVY)
def test_the_heavy_tests_pass(folder: str) -> None:
    passes(folder)


def passes(*tests: str) -> None:
    """Run these tests on the emulated machine."""
    paths = [f"tests/{each}" for each in tests]
    told = on_machine("python3", "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", "--durations=15", *paths)
    print(told)
    assert " passed" in told and "failed" not in told


def test_every_recorded_alfworld_trace_plays_alike() -> None:
    told = on_machine(
        "python3", "-m", "pytest", "-q", "-m", "slow or not slow", "tests/environments/test_alfworld_replay.py"
    )
    assert " passed" in told and "failed" not in told


def test_one_grpo_step_of_the_pocket_profile_is_made_and_verified() -> None:
    engine = "python3 -m engine.cli"
    train = f"{engine} train --profile pocket --steps 1 --run /tmp/run --set {' '.join(STEP)}"
    told = on_machine("sh", "-c", f"{train} && {engine} verify /tmp/run")
    assert "0 differences" in told
