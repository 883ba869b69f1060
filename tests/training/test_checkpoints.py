"""Checkpoints: whole and finite, or absent; the newest by its number."""

import asyncio
import io
import random
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from engine.config import load_profile
from engine.jobs.loading import saved
from engine.models.adapters import WEIGHTS
from engine.runs.errors import WriteFailed
from engine.training.checkpoints import (
    NEEDED,
    PARTIAL,
    UnfitCheckpoint,
    damaged,
    keep,
    lacking,
    latest,
    newest_first,
    size_of,
)
from engine.training.network import trainable
from engine.training.state import put_random_states, random_states
from tests.models import small
from tests.training.test_trainer import make, playing


def written(folder, text="weights"):
    """A folder with every file that training needs, as small as it can be."""
    folder.mkdir(parents=True)
    (folder / "adapter").write_text(text)
    for name in (WEIGHTS, *NEEDED):
        (folder / name).write_bytes(SMALLEST_FILES[Path(name).suffix])
    return folder


def archive():
    made = io.BytesIO()
    torch.save({}, made)
    return made.getvalue()


SMALLEST_FILES = {".safetensors": save({}), ".pt": archive(), ".pth": archive(), ".json": b"{}"}


def test_a_finished_folder_gets_its_steps_name(tmp_path):
    final = keep(written(tmp_path / PARTIAL / "checkpoint-3"), tmp_path, 3)
    assert final == tmp_path / "step-0003"
    assert (final / "adapter").read_text() == "weights"
    assert not (tmp_path / PARTIAL / "checkpoint-3").exists()


def test_what_is_not_finished_is_not_a_checkpoint(tmp_path):
    written(tmp_path / PARTIAL / "checkpoint-9")
    assert latest(tmp_path) is None
    keep(written(tmp_path / PARTIAL / "checkpoint-2"), tmp_path, 2)
    assert latest(tmp_path) == (2, tmp_path / "step-0002")


def test_the_newest_is_the_one_of_the_highest_step_and_not_of_the_last_name(tmp_path):
    for step in (2, 10, 9999, 10000):
        keep(written(tmp_path / PARTIAL / str(step)), tmp_path, step)
    assert latest(tmp_path) == (10000, tmp_path / "step-10000")


def test_the_newest_is_found_in_whatever_order_the_directory_lists_them(tmp_path):
    """Names are not padded from step 10,000 on, and a listing has the order in which a file system keeps them."""
    steps = random.Random(7).sample(range(1, 200), 40)
    for step in steps:
        written(tmp_path / f"step-{step}")
        (tmp_path / f"step-{step}" / "adapter_config.json").write_text("{}")
    wanted = sorted(steps, reverse=True)
    assert [path.name for path in sorted(tmp_path.iterdir())] != [f"step-{step}" for step in wanted]
    assert newest_first(tmp_path) == [(step, tmp_path / f"step-{step}") for step in wanted]
    assert latest(tmp_path) == (wanted[0], tmp_path / f"step-{wanted[0]}")
    assert list(saved(tmp_path)) == wanted[::-1]


@pytest.mark.parametrize("steps", [(9, 10), (10, 9), (99, 100, 11), (2, 1)])
def test_step_10_is_newer_than_step_9_whichever_was_written_last(tmp_path, steps):
    for step in steps:
        written(tmp_path / f"step-{step}")
    assert latest(tmp_path)[0] == max(steps)


def test_a_newest_that_is_damaged_gives_way_to_the_highest_before_it(tmp_path):
    for step in (8, 9, 10, 11):
        written(tmp_path / f"step-{step}")
    for step in (10, 11):
        (tmp_path / f"step-{step}" / "trainer_state.json").write_text("{broken")
    assert latest(tmp_path) == (9, tmp_path / "step-9")
    assert [sentence.split(" is skipped")[0] for sentence in damaged(tmp_path)] == [
        "the checkpoint of step 11",
        "the checkpoint of step 10",
    ]


def test_a_step_done_again_takes_the_place_of_the_first_and_is_never_half_there(tmp_path):
    keep(written(tmp_path / PARTIAL / "a", "old"), tmp_path, 4)
    keep(written(tmp_path / PARTIAL / "b", "new"), tmp_path, 4)
    assert (latest(tmp_path)[1] / "adapter").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"step-0004", PARTIAL}


def test_one_that_is_not_done_again_in_full_leaves_the_first_where_it_is(tmp_path):
    keep(written(tmp_path / PARTIAL / "a", "old"), tmp_path, 4)
    with pytest.raises(WriteFailed):
        keep(tmp_path / PARTIAL / "never written", tmp_path, 4)
    assert (latest(tmp_path)[1] / "adapter").read_text() == "old"


def test_one_that_cannot_be_kept_is_told_in_words_and_the_one_before_stays(tmp_path):
    keep(written(tmp_path / PARTIAL / "a", "old"), tmp_path, 1)
    with pytest.raises(WriteFailed, match=r"step 2 cannot be kept .* No such file .*; correct that and resume"):
        keep(tmp_path / PARTIAL / "never written", tmp_path, 2)
    assert latest(tmp_path) == (1, tmp_path / "step-0001")


def test_its_size_is_that_of_all_its_files(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "file").write_text("12345")
    (tmp_path / "deep" / "file").write_text("678")
    assert size_of(tmp_path) == 8


# What is in it


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The checkpoints of two real steps."""
    folder = tmp_path_factory.mktemp("trained")

    async def train():
        await make(folder, playing([1.0, 3.0, 0.25, 0.5]), steps=2).run(None)

    asyncio.run(train())
    return folder


@pytest.fixture
def checkpoints(trained, tmp_path):
    """A copy that may be spoiled."""
    return shutil.copytree(trained, tmp_path / "checkpoints")


def spoil_adapter(path, value):
    tensors = load_file(path)
    tensors[min(tensors)].view(-1)[-1] = value
    save_file(tensors, path)


def spoil_optimiser(path, value):
    state = torch.load(path, weights_only=True)
    state["state"][3]["exp_avg_sq"].view(-1)[0] = value
    torch.save(state, path)


def cut(path, value):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path, value):
    path.write_bytes(b"")


def flip(path, value):
    content = bytearray(path.read_bytes())
    content[content.index(b"data.pkl") + 100] ^= 0xFF
    path.write_bytes(content)


def alter(path, value):
    """Another finite number in place of one, which nothing but a digest of the file shows."""
    content = bytearray(path.read_bytes())
    content[-2] ^= 0x01
    path.write_bytes(content)


def edit(path, value):
    path.write_text(path.read_text() + " ")


NAN, INFINITE = float("nan"), float("inf")
DAMAGE = [
    ("adapter_model.safetensors", spoil_adapter, NAN, "not finite"),
    ("adapter_model.safetensors", spoil_adapter, -INFINITE, "not finite"),
    ("adapter_model.safetensors", cut, None, "is damaged"),
    ("adapter_model.safetensors", empty, None, "is damaged"),
    ("optimizer.pt", spoil_optimiser, NAN, "not finite"),
    ("optimizer.pt", spoil_optimiser, INFINITE, "not finite"),
    ("optimizer.pt", cut, None, "is damaged"),
    ("optimizer.pt", flip, None, "is damaged"),
    ("rng_state.pth", flip, None, "is damaged"),
    ("rng_state.pth", empty, None, "is damaged"),
    ("trainer_state.json", cut, None, "is damaged"),
    ("adapter_model.safetensors", alter, None, "is not what was written"),
    ("adapter_config.json", edit, None, "is not what was written"),
]


@pytest.mark.parametrize(("file", "spoil", "value", "told"), DAMAGE)
def test_one_that_is_damaged_or_not_finite_is_never_the_newest_and_is_told(checkpoints, file, spoil, value, told):
    assert latest(checkpoints)[0] == 2 and damaged(checkpoints) == []
    spoil(checkpoints / "step-0002" / file, value)
    assert latest(checkpoints) == (1, checkpoints / "step-0001")
    (sentence,) = damaged(checkpoints)
    assert sentence.startswith(f"the checkpoint of step 2 is skipped: {checkpoints / 'step-0002' / file}")
    assert told in sentence
    spoil(checkpoints / "step-0001" / file, value)
    assert latest(checkpoints) is None and len(damaged(checkpoints)) == 2


@pytest.mark.parametrize(("file", "spoil", "value", "told"), DAMAGE[:8:2])
def test_one_that_is_not_fit_is_refused_before_it_has_a_name(checkpoints, file, spoil, value, told):
    written = checkpoints / PARTIAL / "checkpoint-3"
    shutil.copytree(checkpoints / "step-0002", written)
    spoil(written / file, value)
    with pytest.raises(UnfitCheckpoint, match=f"the checkpoint of step 3 is not kept: .*{file}.*{told}"):
        keep(written, checkpoints, 3)
    assert latest(checkpoints)[0] == 2 and not (checkpoints / "step-0003").exists()


def test_what_training_needs_and_a_checkpoint_lacks_is_named(checkpoints):
    assert lacking(checkpoints / "step-0002") == []
    for name in (WEIGHTS, *NEEDED):
        (checkpoints / "step-0002" / name).unlink()
        assert name in lacking(checkpoints / "step-0002")


@pytest.mark.parametrize("name", NEEDED)
def test_one_that_lacks_a_file_is_skipped_and_told(checkpoints, name):
    (checkpoints / "step-0002" / name).unlink()
    assert latest(checkpoints) == (1, checkpoints / "step-0001")
    assert damaged(checkpoints) == [f"the checkpoint of step 2 is skipped: {checkpoints / 'step-0002'} lacks {name}"]


def test_folders_of_other_names_are_no_checkpoints(checkpoints):
    for name in ("step-new", "step-", "step--1", "step-0009.old"):
        (checkpoints / name).mkdir()
    (checkpoints / "step-0010").write_text("a file")
    assert latest(checkpoints)[0] == 2


def test_a_run_on_the_cpu_leaves_the_gpu_of_the_machine_alone(monkeypatch):
    """Whoever asks a GPU for the state of its generator takes 0.65 GB there; with this PyTorch for a CPU, it is an error."""
    base = small.base()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda *_: torch.device("cuda"))
    trainable(base, load_profile("pocket").training)
    states = random_states()
    assert "cuda" not in states
    put_random_states({**states, "cuda": [torch.get_rng_state()]})
