"""RUN is the best checkpoint, RUN@STEP any, a folder itself; one of another base, shape or version is refused by name."""

import json
import shutil

import pytest

from engine.config import load_profile, to_toml
from engine.core.errors import ConfigError
from engine.core.events import HeldOutMeasured
from engine.jobs.registry import JOBS
from engine.models.local.files import weights_path
from engine.runs.directory import Run
from engine.system.preflight import check
from engine.training.origin import refusal
from engine.training.selection import chosen
from tests.models.architectures import make as make_model
from tests.training.adapters import checkpoint_of, small_adapter


@pytest.fixture
def run(tmp_path):
    with Run.create(tmp_path / "run", kind="train", config_text=to_toml(load_profile("pocket"))) as run:
        for step in (1, 2, 3):
            checkpoint_of(run, step)
        yield run


def measured(run, **scores):
    for name, score in scores.items():
        run.append(HeldOutMeasured(int(name[1:]), 4, score, 0.02, 0, 1.0))


def test_a_run_is_its_best_by_held_out_score_the_earlier_of_equal_ones(run):
    measured(run, s0=0.1, s1=0.4, s2=0.5, s3=0.5)
    found = chosen(str(run.path))
    assert (found.step, found.path) == (2, run.checkpoints / "step-0002")
    assert (
        f"step 2 of {run.path}: the best of 3 measured checkpoints by held-out r_task (0.500 ±0.020)" in found.sentence
    )


def test_that_the_untrained_curator_is_better_is_said(run):
    measured(run, s0=0.9, s1=0.4)
    assert chosen(str(run.path)).step == 1
    assert "the untrained curator scored 0.900, which is more" in chosen(str(run.path)).sentence


def test_without_a_score_it_is_the_newest_and_that_is_said(run):
    measured(run, s1=None)
    assert chosen(str(run.path)).step == 3
    assert "its newest, since none there has a held-out score" in chosen(str(run.path)).sentence


def test_a_damaged_one_is_skipped_and_that_is_said(run):
    measured(run, s1=0.4, s2=0.5)
    small_adapter(run.checkpoints / "step-0002", value=float("nan"))
    found = chosen(str(run.path))
    assert found.step == 1 and "1 damaged checkpoint skipped: step 2" in found.sentence


def test_any_step_can_be_named(run):
    measured(run, s1=0.4)
    assert chosen(f"{run.path}@3").path == run.checkpoints / "step-0003"


def test_a_folder_is_itself_also_one_with_an_at_in_its_name(run, tmp_path):
    assert chosen(str(run.checkpoints / "step-0001")).step is None
    assert chosen(str(small_adapter(tmp_path / "mine@2"))).path == tmp_path / "mine@2"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{}@7", "has no checkpoint of step 7: there are those of steps 1, 2, 3"),
        ("{}@0", "the curator of step 0 is the untrained one"),
        ("{}@best", "has no step after the @"),
        ("{}/nothing", "is neither a checkpoint nor a train run that has one"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(run, source, why):
    with pytest.raises(ConfigError, match=why):
        chosen(source.format(run.path))


def test_a_new_run_keeps_the_step_that_was_meant_when_it_was_created(run):
    measured(run, s1=0.4)
    config = load_profile("pocket", [f"curate.adapter={json.dumps(str(run.path))}"])
    pinned, said = JOBS.load("curate").pin(config)
    assert pinned.curate.adapter == f"{run.path}@1" and "the best of 1 measured checkpoint" in said[0]
    check(pinned, "curate")


# Another base, shape or version


def edited(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_base_that_it_was_trained_on_takes_it_under_any_name(run, tmp_path):
    copy = shutil.copytree(weights_path("pocket"), tmp_path / "elsewhere")
    config = load_profile("pocket", [f"model.weights={copy}"])
    assert refusal(run.checkpoints / "step-0001", config) == ""


def test_a_base_of_other_numbers_is_refused_with_both_named(run, tmp_path):
    copy = shutil.copytree(weights_path("pocket"), tmp_path / "tuned")
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1000] ^= 1
    weights.write_bytes(content)
    why = refusal(run.checkpoints / "step-0001", load_profile("pocket", [f"model.weights={copy}"]))
    assert "another content of their files" in why and "on pocket (files" in why and f"model is {copy} (files" in why


@pytest.mark.parametrize("old", [False, True])
def test_a_base_of_another_shape_is_refused_also_by_one_of_an_older_version(run, tmp_path, old):
    model = make_model("llama", tmp_path)
    checkpoint = run.checkpoints / "step-0001"
    if old:
        (checkpoint / "checkpoint.json").unlink()
    why = refusal(checkpoint, load_profile("pocket", [f"model.weights={model}", "model.context=256"]))
    assert str(checkpoint) in why and str(model) in why
    assert ("has 128 inputs, and the model's has 32" if old else "hidden size 128") in why


def test_an_adapter_for_more_layers_than_the_base_has_is_refused(tmp_path):
    import numpy as np
    from safetensors.numpy import load_file, save_file

    adapter = small_adapter(tmp_path / "deep")
    tensors = load_file(adapter / "adapter_model.safetensors")
    tensors["base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight"] = np.zeros((2, 128), np.float32)
    save_file(tensors, adapter / "adapter_model.safetensors")
    why = refusal(adapter, load_profile("pocket"))
    assert "it has weights for model.layers.9.self_attn.q_proj, which the model does not have" in why


def test_another_version_of_the_format_is_refused_with_both_named(run):
    checkpoint = run.checkpoints / "step-0001"
    edited(checkpoint / "checkpoint.json", format=2)
    assert "its format is version 2, and this program reads version 1" in refusal(checkpoint, load_profile("pocket"))


def test_a_description_that_is_damaged_is_refused(run):
    checkpoint = run.checkpoints / "step-0001"
    edited(checkpoint / "checkpoint.json", rank="eight")
    assert "checkpoint.json cannot be read" in refusal(checkpoint, load_profile("pocket"))


@pytest.mark.parametrize(("setting", "named"), [("lora_rank=4", "lora_rank=2"), ("lora_alpha=32", "lora_alpha=16")])
def test_training_goes_on_with_the_rank_and_alpha_of_the_checkpoint_alone(run, setting, named):
    config = load_profile("pocket", ["training.lora_rank=2", f"training.{setting}"])
    checkpoint = run.checkpoints / "step-0001"
    why = refusal(checkpoint, config, trains=True)
    assert f"training.{named}" in why and f"training.{setting}" in why
    assert refusal(checkpoint, config) == ""
