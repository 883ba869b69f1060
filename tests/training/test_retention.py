"""Which checkpoints are kept, and that a removal that is interrupted leaves none that is half there."""

import json

import pytest

from engine.config import load_profile, to_toml
from engine.core.events import CheckpointSaved, CheckpointsRemoved, HeldOutMeasured, Notice
from engine.models.adapters import WEIGHTS
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.runs.kept import keep, keep_newest, newest_first
from engine.training.checkpoints import NEEDED, latest
from engine.training.origin import origin_of, write
from engine.training.retention import Retention, entries
from tests.cli.shell import shell

NUL = b"PK\x05\x06" + b"\0" * 18
"""An empty archive, as a file of torch that holds no tensor."""


def checkpoint(run, step, *, old=False):
    """A checkpoint of `step` that nothing is wrong with; with `old` one of a version that had no checkpoint.json."""
    folder = run.checkpoints / f"step-{step:04d}"
    folder.mkdir()
    for name in (WEIGHTS, *NEEDED):
        content = b"{}" if name.endswith(".json") else NUL
        if name.endswith(".safetensors"):
            content = (2).to_bytes(8, "little") + b"{}"
        (folder / name).write_bytes(content)
    if (folder / "optimizer.pt").exists():
        torch_file(folder / "optimizer.pt")
    if not old:
        write(folder, origin_of(run.config), step)
    run.append(CheckpointSaved(step, str(folder), 1))
    return folder


def torch_file(path):
    import torch

    torch.save({}, path)


def measured(run, **scores):
    for name, score in scores.items():
        run.append(HeldOutMeasured(int(name[1:]), 4, score, 0.1, 0, 1.0))


@pytest.fixture
def make(tmp_path):
    """A run with settings of [training], and its retention."""
    made = []

    def make(**training):
        settings = [f"training.{name}={value}" for name, value in {"evaluate_every": 0, **training}.items()]
        text = to_toml(load_profile("pocket", settings))
        run = Run.create(tmp_path / f"run{len(made)}", kind="train", config_text=text)
        made.append(run)
        return run, Retention(run, run.config.training, run.append, lambda: None)

    yield make
    for run in made:
        run.close()


def steps_of(run):
    return [step for step, _ in reversed(newest_first(run.checkpoints))]


def rests(run):
    return [path.name for path in run.checkpoints.iterdir() if path.name.startswith(".removed")]


def test_the_newest_every_mth_the_best_and_what_a_person_kept_stay(make):
    run, retention = make(keep_newest=2, keep_every=5)
    for step in range(1, 13):
        checkpoint(run, step)
    measured(run, s3=0.5, s7=0.75, s8=0.75, s11=0.2, s12=None)
    keep(run, 4, "ann")
    retention.apply()
    assert steps_of(run) == [4, 5, 7, 10, 11, 12]
    removed = [stored.event for stored in run.events(kinds=["checkpoints_removed"])]
    assert [event.steps for event in removed] == [[1, 2, 3, 6, 8, 9]] and removed[0].bytes > 0 and not rests(run)
    retention.apply()
    assert len(run.events(kinds=["checkpoints_removed"])) == 1
    reasons = {entry.step: entry.kept for entry in entries(run, run.config.training)}
    assert reasons[7] == ["the best by held-out score"] and reasons[4] == ["kept by ann"]


def test_a_later_better_one_takes_the_place_of_the_best(make):
    run, retention = make(keep_newest=1, keep_every=0)
    for step in (1, 2, 3):
        checkpoint(run, step)
    measured(run, s1=0.5)
    retention.apply()
    assert steps_of(run) == [1, 3]
    checkpoint(run, 4)
    measured(run, s4=0.6)
    retention.apply()
    assert steps_of(run) == [4]


@pytest.mark.parametrize("spoilt", ["optimizer.pt", "adapter_model.safetensors"])
def test_a_damaged_newest_never_makes_the_good_one_go(make, spoilt):
    run, retention = make(keep_newest=1, keep_every=0)
    for step in (1, 2, 3):
        checkpoint(run, step)
    (run.checkpoints / "step-0003" / spoilt).write_bytes(b"")
    retention.apply()
    assert steps_of(run) == [2, 3] and latest(run.checkpoints)[0] == 2


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("harm", ["cut", "missing", "altered", "good"])
def test_the_list_marks_a_damaged_checkpoint_wherever_it_is(make, harm, step):
    run, _ = make(keep_newest=5)
    folders = {number: checkpoint(run, number) for number in (1, 2, 3)}
    file = folders[step] / "trainer_state.json"
    if harm == "missing":
        file.unlink()
    elif harm != "good":
        file.write_bytes({"cut": b"", "altered": b"{ }"}[harm])
    done = shell("checkpoints", run.path)
    assert done.code == 0 and [entry.step for entry in entries(run, run.config.training) if entry.damage] == (
        [] if harm == "good" else [step]
    )
    marked = [line for line in done.out.splitlines() if "DAMAGED" in line]
    assert len(marked) == (harm != "good") and all("trainer_state.json" in line for line in marked)


def test_a_newest_that_lacks_a_file_does_not_either(make):
    run, retention = make(keep_newest=1, keep_every=0)
    for step in (1, 2):
        checkpoint(run, step)
    (run.checkpoints / "step-0002" / NEEDED[-1]).unlink()
    retention.apply()
    assert steps_of(run) == [1, 2]


def test_a_damaged_best_lets_the_next_best_stay(make):
    run, retention = make(keep_newest=1, keep_every=0)
    for step in (1, 2, 3, 4):
        checkpoint(run, step)
    measured(run, s1=0.4, s2=0.9, s3=0.3)
    (run.checkpoints / "step-0002" / "adapter_model.safetensors").write_bytes(b"")
    retention.apply()
    assert steps_of(run) == [1, 4]


def test_one_whose_measurement_is_due_waits_for_it(make):
    run, retention = make(keep_newest=1, keep_every=0, evaluate_every=2)
    for step in (1, 2, 3):
        checkpoint(run, step)
    retention.apply()
    assert steps_of(run) == [2, 3]
    measured(run, s2=None)
    retention.apply()
    assert steps_of(run) == [3]


def test_those_of_older_versions_stay(make):
    run, retention = make(keep_newest=1, keep_every=0)
    checkpoint(run, 1, old=True)
    for step in (2, 3):
        checkpoint(run, step)
    retention.apply()
    assert steps_of(run) == [1, 3]


@pytest.mark.parametrize("logged", [False, True])
def test_a_removal_that_was_killed_is_ended_and_logged_once(make, logged):
    run, retention = make(keep_newest=1, keep_every=0)
    for step in (1, 2):
        checkpoint(run, step)
    (run.checkpoints / "step-0001").rename(run.checkpoints / ".removed-0001")
    if logged:
        run.append(CheckpointsRemoved([1], 5))
        (run.checkpoints / ".removed-0001" / NEEDED[0]).unlink()
    (run.checkpoints / ".replaced-0002-77").mkdir()
    (run.checkpoints / ".partial" / "checkpoint-3").mkdir(parents=True)
    retention.recover()
    assert steps_of(run) == [2] and not rests(run) and not list((run.checkpoints / ".partial").iterdir())
    assert not (run.checkpoints / ".replaced-0002-77").exists()
    assert [stored.event.steps for stored in run.events(kinds=["checkpoints_removed"])] == [[1]]


def test_what_cannot_be_removed_is_a_warning_and_ends_nothing(make, monkeypatch):
    run, retention = make(keep_newest=1, keep_every=0)
    for step in (1, 2):
        checkpoint(run, step)
    (run.checkpoints / ".removed-0001").write_text("in the way")
    retention.apply()
    notices = [stored.event for stored in run.events(kinds=["notice"])]
    assert steps_of(run) == [1, 2] and isinstance(notices[0], Notice) and "cannot be removed" in notices[0].message


def test_only_what_is_there_can_be_kept_and_once_is_enough(make):
    run, _ = make()
    with pytest.raises(RunError, match="has no checkpoint yet"):
        keep_newest(run, "ann")
    checkpoint(run, 3)
    assert keep_newest(run, "ann") == keep_newest(run, "bob") == 3
    assert [stored.event.by for stored in run.events(kinds=["checkpoint_kept"])] == ["ann"]
    with pytest.raises(RunError, match="no checkpoint of step 2; there are those of steps 3"):
        keep(run, 2, "ann")


def test_a_checkpoint_says_what_it_was_made_from(make):
    run, _ = make()
    made = json.loads((checkpoint(run, 3) / "checkpoint.json").read_text())
    assert made["step"] == 3 and made["base"]["name"] == "pocket" and made["rank"] == 8 and made["format"] == 1
    assert len(made["base"]["fingerprint"]) == 32 and len(made["settings"]) == 64
