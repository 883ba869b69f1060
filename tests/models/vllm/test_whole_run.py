"""Whole train runs over a server that the engine starts, which is the pocket model in a process of its own."""

import os
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from engine.models.vllm.process import Record, members_of
from engine.runs.directory import Run
from tests.models.vllm.program import REPOSITORY, python_of

pytestmark = pytest.mark.slow
SMALL = (
    "training.groups=1",
    "training.rollouts=2",
    "training.tasks=2",
    "training.evaluate_every=0",
)
SECRET = "planted-0123456789-secret"


def cli(*arguments):
    command = [sys.executable, "-m", "engine.cli", *map(str, arguments)]
    env = {**os.environ, "PLANTED_API_KEY": SECRET, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, capture_output=True, text=True, timeout=400, check=False, cwd=REPOSITORY, env=env)


def started(tmp_path, steps=2):
    """A train run that works, its path, and the group of its server."""
    path = tmp_path / "run"
    server = ("model.kind=vllm", "model.context=4096", f"model.python={python_of(tmp_path, 'pocket')}")
    done = cli("train", "--profile", "pocket", "--steps", steps, "--set", *SMALL, *server, "--run", path, "--detach")
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: events_of(path, "turn_taken") or events_of(path, "notice"), 200)
    return path, msgspec.json.decode((path / "logs" / "vllm.json").read_bytes(), type=Record)


def events_of(path, *kinds):
    with Run.open(path) as run:
        return [stored.event for stored in run.events(kinds=list(kinds))]


def until(true, seconds):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)
    return found


def finished(path):
    states = [event for event in events_of(path, "state_changed") if event.state in ("finished", "failed", "stopped")]
    return states[-1] if states else None


def test_a_server_that_dies_in_mid_step_pauses_the_run_and_loses_nothing(tmp_path):
    path, server = started(tmp_path)
    os.killpg(server.pid, signal.SIGKILL)
    end = until(lambda: finished(path), 300)
    assert end.state == "finished", end.reason
    paused = [event.reason for event in events_of(path, "state_changed") if event.state == "paused"]
    assert paused and any("the vLLM server is started again" in reason for reason in paused)
    ended = events_of(path, "step_ended")
    assert [(event.measured, event.unmeasured) for event in ended] == [(4, 0), (4, 0)]
    versions = {event.at.step: event.version for event in events_of(path, "curation_made")}
    assert versions == {1: 0, 2: 1}
    published = events_of(path, "adapter_published")
    assert [event.step for event in published] == [1, 2] and all(
        "log-probabilities" in event.how for event in published
    )
    assert not members_of(server) and not (path / "logs" / "vllm.json").exists()
    assert SECRET not in "".join(file.read_text(errors="replace") for file in (path / "logs").iterdir())


def test_an_engine_that_is_killed_leaves_no_server_and_its_run_is_resumed(tmp_path):
    path, server = started(tmp_path)
    os.kill(events_of(path, "run_started")[-1].pid, signal.SIGKILL)
    until(lambda: not members_of(server), 30)
    done = cli("resume", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert until(lambda: finished(path), 300).state == "finished"
    assert [event.step for event in events_of(path, "adapter_published")][-1] == 2
