"""The plan's arithmetic, against the figures that others published or measured (`models.md`)."""

import json
import struct

import msgspec
import pytest

from engine.config import load_profile, parse
from engine.jobs.registry import JOBS
from engine.system.plan import disk_needed, machine_of, plan
from engine.system.plan.pace import Engine, Role, Workload, rollout_seconds, update_seconds
from engine.system.plan.parts import Model, disk_parts, memory_parts, total, trainer_parts
from engine.system.plan.serving import Serving, servings
from engine.system.plan.shapes import UnknownShape, shape_of

QWEN = shape_of("Qwen/Qwen3-8B")
GPU = Serving("vllm", "server", ("curator",), "Qwen/Qwen3-8B", 20480, device="cuda", trainer=2.0)


def near(value, share=0.1):
    return pytest.approx(value, rel=share)


def test_weights_cache_and_adapter_of_qwen3_8b():
    assert QWEN.weight_bytes(2) == near(16.4e9, 0.01)
    assert QWEN.kv_bytes(2) == 144 * 1024
    assert QWEN.lora_parameters(32) == near(87e6, 0.01)


def trainer(**training):
    """The trainer's parts for samples of 16,384 tokens, by name."""
    settings = {"lora_rank": 32, **training}
    given = [f"training.{key}={json.dumps(value)}" for key, value in settings.items()]
    config = parse("profile = 'x'", [*given, "curator.max_prompt_tokens=12288", "curator.max_tokens=4096"])
    return {part.name: part.bytes for part in trainer_parts(config, Model(GPU, QWEN))}


def test_the_trainer_of_qwen3_8b_at_16k_tokens_with_and_without_checkpointing():
    plain, kept = trainer(), trainer(gradient_checkpointing=True)
    assert plain["LoRA, gradients, optimiser"] == near(1.4e9, 0.01)
    assert 109e9 < plain["activations"] < 140e9  # 109 GB, computed by others, has no copies of PEFT
    assert kept["activations, checkpointed"] == near(4.8e9, 0.02)
    assert 4e9 < kept["activations, one layer at work"] < 6e9
    assert plain["logits"] == near(0.40e9, 0.01)  # of 220 tokens: those of 16,384 would be 10 GB


def test_the_published_shape_fits_119_gb_at_16k_tokens_with_checkpointing_and_not_without():
    settings = ["curator.max_prompt_tokens=16384", "curator.max_tokens=4096"]
    spark = load_profile("spark", settings)
    made = plan(spark, machine_of("spark"), JOBS.load("train"))
    assert made.fits and made.used < 119e9
    without = load_profile("spark", [*settings, "training.gradient_checkpointing=false"])
    assert plan(without, machine_of("spark"), JOBS.load("train")).fits is False


@pytest.mark.parametrize(
    ("dtype", "on_gpu"), [("float32", False), ("float32", True), ("bfloat16", True), ("bfloat16", False)]
)
def test_activations_are_what_the_layers_really_save_for_the_backward_pass(dtype, on_gpu):
    """The pocket model with an adapter, 2 × 256 tokens: every tensor that autograd keeps, but for the weights. As on a GPU
    it runs with its attention and autocast, on this CPU."""
    import torch

    from engine.models.local.attention import REPEATED
    from engine.models.local.settings import LocalModelSettings
    from engine.models.local.weights import load_base
    from engine.training.logprobs import last_hidden
    from tests.models.small import with_adapter

    model = with_adapter(load_base(LocalModelSettings()).to(getattr(torch, dtype)))
    if on_gpu and dtype == "float32":
        model.config._attn_implementation = REPEATED
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    saving = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with saving, torch.autocast("cpu", dtype=torch.bfloat16, enabled=on_gpu and dtype == "bfloat16"):
        hidden = last_hidden(model.get_base_model(), torch.ones(2, 256, dtype=torch.long))
    assert hidden.shape == (2, 256, 128)
    shape, number = shape_of("pocket"), 4 if dtype == "float32" else 2
    planned = 2 * 256 * shape.layers * shape.activation_bytes(number, on_gpu=on_gpu)
    assert sum(kept.values()) == near(planned, 0.07)


def test_the_peak_of_an_update_on_a_gpu_is_the_one_that_was_measured():
    """Measured on an H100 by `tests.benchmarks.update_memory --device cuda --shape Qwen/Qwen3-8B --tokens 16384`: 29.87 GB
    by NVML, of which PyTorch had allocated 28.28 GB."""
    settings = ["model.kind=local", "model.weights=Qwen/Qwen3-8B", "model.device=cuda", "model.dtype=bfloat16"]
    lengths = ["curator.max_prompt_tokens=15872", "curator.max_tokens=512", "model.context=16384"]
    training = ["training.lora_rank=32", "training.gradient_checkpointing=true", "training.micro_batch_tokens=16384"]
    made = plan(load_profile("pocket", [*settings, *lengths, *training]), machine_of("h100"), JOBS.load("train"))
    parts = {part.name: part for part in made.inside if part.phase != "rollouts"}
    assert sum(part.bytes for part in parts.values()) == near(29.87e9, 0.05)
    assert sum(part.bytes for name, part in parts.items() if "context" not in name) == near(28.28e9, 0.02)


def test_a_model_on_a_gpu_has_a_context_there_whether_it_is_trained_or_not():
    for job in ("train", "curate"):
        names = [part.name for part in plan(on_gpu("pocket"), machine_of("h100"), JOBS.load(job)).inside]
        assert names.count("engine, CUDA context") == 1
        names = [part.name for part in plan(load_profile("pocket"), machine_of("spark"), JOBS.load(job)).memory]
        assert "engine, CUDA context" not in names


def test_training_on_an_h100_takes_the_time_that_was_measured():
    """8B over 16,384 tokens: 5,100 tokens/s with checkpointing, and 6,300 over 4,096 tokens without."""
    for checkpointing, measured in (("true", 5_100), ("false", 6_300)):
        settings = ["training.micro_batch_tokens=16384", f"training.gradient_checkpointing={checkpointing}"]
        pace = plan(load_profile("spark", settings), machine_of("h100"), JOBS.load("train")).pace
        assert pace.trained / pace.update_seconds == near(measured, 0.25)


def test_a_small_model_on_a_gpu_takes_the_time_in_which_it_gets_its_work():
    """A step of the pocket profile took 6.2 to 6.5 s of rollouts and 0.4 to 0.5 s of update on an H100."""
    pace = plan(on_gpu("pocket"), machine_of("h100"), JOBS.load("train")).pace
    assert 6.2 / 2 < pace.rollout_seconds < 6.5 * 2 and 0.1 < pace.update_seconds < 1.0


def on_gpu(profile):
    return load_profile(profile, ["model.device=cuda"])


STEPS = {  # groups × N × |G|, thinking, FP8: minutes of rollouts, update and step
    "published": ((32, 8, 10), True, False, 847, 88, 15.6 * 60),
    "published, short": ((32, 8, 10), False, True, 200, 88, 4.8 * 60),
    "4 × 8 × 10": ((4, 8, 10), False, True, 30, 11, 41),
    "4 × 8 × 5": ((4, 8, 5), False, True, 13.5, 5.5, 19),
    "4 × 8 × 5, bf16": ((4, 8, 5), False, False, 20, 5.5, 26),
    "4 × 8 × 5, thinking": ((4, 8, 5), True, True, 44, 5.5, 50),
    "2 × 8 × 5": ((2, 8, 5), False, True, 9, 2.7, 11.5),
}


@pytest.mark.parametrize("row", STEPS.values(), ids=STEPS)
def test_what_a_step_costs_on_a_spark_is_as_it_was_simulated(row):
    (groups, rollouts, tasks), thinking, fp8, rollout, update, step = row
    answer = 340.0 if thinking else 40.0
    work = Workload(groups, rollouts, tasks, 24.25, 7.3, answer, answer / 2, 1400, 3500, 617, 330, shared=1)
    role = Role(QWEN.moved_bytes(2, 1 if fp8 else None), QWEN.kv_bytes(1 if fp8 else 2))
    engine = Engine(role, role, True, 273e9, 3500, 2000, min(64, groups * rollouts))
    assert rollout_seconds(work, engine) / 60 == near(rollout)
    assert update_seconds(work, engine) / 60 == near(update)
    assert (rollout_seconds(work, engine) + update_seconds(work, engine)) / 60 == near(step)


def test_two_servers_on_one_gpu_move_the_weights_of_both():
    work = Workload(4, 8, 5, 24.25, 7.3, 40, 20, 1400, 3500, 617, 330)
    whole, packed = (Role(QWEN.moved_bytes(2, linear), QWEN.kv_bytes(2)) for linear in (None, 1))
    one = Engine(whole, whole, True, 273e9, 3500, 2000, 32)
    two = Engine(packed, whole, False, 273e9, 3500, 2000, 32)
    assert rollout_seconds(work, two) > 1.1 * rollout_seconds(work, one)


def test_more_machine_is_never_slower_and_more_work_never_faster():
    work = Workload(4, 8, 5, 24.25, 7.3, 40, 20, 1400, 3500, 617, 330)
    role = Role(QWEN.moved_bytes(2), QWEN.kv_bytes(2))

    def seconds(rollouts=8, bandwidth=273e9, seats=32, answer=40.0):
        more = Workload(4, rollouts, 5, 24.25, 7.3, answer, 20, 1400, 3500, 617, 330)
        return rollout_seconds(more, Engine(role, role, True, bandwidth, 3500, 2000, seats))

    assert seconds(bandwidth=546e9) < seconds() < seconds(seats=16)
    assert seconds() < seconds(rollouts=9) and seconds() < seconds(answer=80.0)
    assert sum(work.lengths()) == near(work.decoded, 0.02)


# Shapes


def test_a_models_shape_is_read_from_its_own_files(tmp_path):
    config = {
        "num_attention_heads": 4,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "intermediate_size": 128,
        "vocab_size": 1000,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert shape_of(str(tmp_path)).parameters == 2 * 64 * (2 * 64 + 2 * 32 + 3 * 128) + 64_000 + 64 * 5
    header = json.dumps({"w": {"dtype": "BF16", "shape": [7, 11], "data_offsets": [0, 154]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 154)
    assert shape_of(str(tmp_path)).parameters == 77


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "no usable num_attention_heads"),
        ('{"num_attention_heads": -3, "hidden_size": 64}', "no usable num_attention_heads"),
        ('{"num_attention_heads": 4, "hidden_size": 64, "num_local_experts": 8}', "a mixture of experts"),
    ],
)
def test_a_shape_that_cannot_be_read_has_a_reason(tmp_path, text, why):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UnknownShape, match=why):
        shape_of(str(tmp_path))


def test_a_model_that_nobody_knows_is_no_guess():
    with pytest.raises(UnknownShape, match="not on this machine, and no figures"):
        shape_of("acme/wonder-70b")
    assert shape_of("nvidia/Qwen3-8B-FP8").layers == QWEN.layers


def test_a_model_elsewhere_takes_no_memory_here_and_an_unknown_part_has_its_reason():
    far = Serving("openai", "elsewhere", ("executor",), "", 0)
    unknown = Model(msgspec.structs.replace(GPU, weights="acme/wonder-70b"), None, "no figures of it are known")
    parts = memory_parts(load_profile("pocket"), [unknown, Model(far, None, "elsewhere")], trains=True, reserve=0.0)
    gaps = [part for part in parts if part.bytes is None]
    assert {part.unmeasured for part in gaps} == {"no figures of it are known"} and len(gaps) == 2
    assert total(parts) > 0


def test_the_disk_has_room_for_as_many_checkpoints_as_retention_keeps_at_once():
    kept = {(5, 10): 13, (1, 0): 3, (60, 0): 60, (5, 1): 60}
    job = JOBS.load("train")
    for (newest, every), most in kept.items():
        settings = ["training.steps=60", f"training.keep_newest={newest}", f"training.keep_every={every}"]
        config = load_profile("pocket", settings)
        assert disk_needed(config, 60, job)["checkpoints"] == most * disk_needed(config, 1, job)["checkpoints"]


def test_checkpoints_are_as_large_as_those_of_the_pocket_model():
    config = load_profile("pocket", ["training.keep_newest=10"])
    (serving,) = servings(config, ["curator", "executor"])
    parts = disk_parts(config, [Model(serving, shape_of("pocket"))], steps=10, log=0.0, trains=True)
    assert parts[0].bytes == near(10 * 936e3, 0.15)  # measured: 936 kB a step
