"""The plan of a profile: what `skillos-engine plan` prints, what a start refuses, and what a step really takes."""

import json
import subprocess
import sys

import pytest

from engine.config import ConfigError, load_profile
from engine.jobs.registry import JOBS
from engine.models.adapters import FULL
from engine.system.plan import lines, machine_names, machine_of, one_line, plan
from engine.system.plan.figures import figures
from engine.system.plan.fit import doubts, refusal
from engine.system.plan.machines import gpu_names, host_available, host_memory
from engine.system.preflight import check
from tests.cli.shell import shell
from tests.system.memory.constructed import Files, host

TRAIN = JOBS.load("train")
GIB = 2**30
THINKING = ("executor.thinking=on", "executor.max_tokens=1024")


def made(profile, machine, *settings, job="train"):
    return plan(load_profile(profile, list(settings)), machine_of(machine, "cuda"), JOBS.load(job))


def test_the_spark_profile_fits_a_spark_part_by_part_and_a_step_takes_minutes():
    spark = made("spark", "spark")
    assert spark.fits and 60e9 < spark.used < 100e9 and spark.pool == 119e9
    assert sum(part.bytes for part in spark.memory) == pytest.approx(spark.used)
    assert 15 * 60 < spark.pace.step_seconds < 40 * 60
    text = "\n".join(lines(spark))
    for part in (
        "weights",
        "key-value cache",
        "LoRA, gradients, optimiser",
        "activations",
        "logits",
        "workbench",
        "engine",
    ):
        assert part in text
    assert "it fits: " in text and "published figures" in text and "days" in text


def test_without_checkpointing_the_spark_profile_does_not_fit_and_its_largest_part_is_named():
    spark = made("spark", "spark", "training.gradient_checkpointing=false")
    assert spark.fits is False and "it does not fit" in "\n".join(lines(spark))


def test_the_published_step_takes_hours_on_a_spark():
    published = ["training.groups=32", "training.tasks=10", "executor.thinking=on", "executor.max_tokens=1024"]
    step = made("spark", "spark", *published).pace.step_seconds
    assert step / 3600 == pytest.approx(15.6 * 1.1, rel=0.1)  # each rollout plays position 1 itself: 9 to 10 positions


def test_an_executor_in_fp8_on_a_server_of_its_own_is_no_faster():
    one = made("spark", "spark")
    more = (
        ("kind", "vllm"),
        ("weights", "Qwen/Qwen3-8B"),
        ("quantization", "fp8"),
        ("device", "cuda"),
        ("kv_cache_gib", 12.0),
    )
    two = made("spark", "spark", *(f"executor_model.{key}={value}" for key, value in more))
    assert two.pace.step_seconds > one.pace.step_seconds and two.used > one.used + 20e9


def test_a_gpu_with_memory_of_its_own_is_planned_beside_the_hosts():
    h100 = made("spark", "h100")
    assert h100.host is not None and h100.host < 10e9 and h100.pool == 85e9
    assert all(part.device for part in h100.memory if "weights" in part.name)


@pytest.mark.parametrize("name", figures().machines)
@pytest.mark.parametrize("profile", ["pocket", "spark"])
def test_every_profile_is_planned_on_every_machine(profile, name):
    whole = made(profile, name)
    assert sum(part.bytes for part in whole.memory) > 0 and one_line(whole).startswith("plan: memory about")
    assert machine_of(name).source.startswith("published") and name in machine_names()


def test_a_run_that_trains_nothing_has_no_trainer_and_no_update():
    curate = made("pocket", "this", job="curate")
    assert not {"trainer's libraries", "logits"} & {part.name for part in curate.memory}
    assert curate.pace.trained == 0 and curate.departures == []


def test_any_number_of_rollouts_is_planned_at_once():
    many, more = (made("spark", "spark", f"training.groups={groups}") for groups in (2_000, 1_000_000_000))
    share = more.pace.rollout_seconds / many.pace.rollout_seconds
    assert share == pytest.approx(500_000, rel=0.01)


def test_what_is_not_known_makes_a_sum_a_least_one():
    unknown = made("spark", "spark", "model.weights=nobody/knows")
    assert "memory at least" in one_line(unknown) and "disk at least" in one_line(unknown)
    assert sum("in all that is known" in line for line in lines(unknown)) == 2


def test_a_batch_holds_no_more_than_the_samples_of_a_step():
    few, all_of_them = (made("smol", "this", f"training.micro_batch_tokens={size}") for size in (20_000, 10**9))
    assert few.used == all_of_them.used


def test_the_turns_that_are_assumed_give_the_calls_that_are_counted():
    spark = made("spark", "spark")
    turns = float(spark.assumptions[0].split()[3])
    assert spark.pace.calls == spark.positions * (turns + 1)


def test_a_step_without_thinking_takes_the_share_of_time_that_its_departure_names():
    short, long = (made("spark", "spark", *more).pace.step_seconds for more in ([], THINKING))
    assert short / long == pytest.approx(1 / 3, abs=0.05)
    assert any("a third of the time" in departure.why for departure in made("spark", "spark").departures)


def test_a_reason_for_a_smaller_value_is_not_given_for_a_larger_one():
    larger = made("spark", "spark", "training.groups=64").departures
    assert [departure.why for departure in larger if departure.setting == "training.groups"] == [""]


# The command


@pytest.mark.parametrize("file", ["model.safetensors", "adapter_model.safetensors"])
@pytest.mark.parametrize("named", ["folder", "run", "run@3"])
def test_a_curator_with_all_weights_is_a_second_copy_beside_the_base(tmp_path, file, named):
    folder = tmp_path / "run" / "checkpoints" / "step-0003"
    folder.mkdir(parents=True)
    (folder / file).write_bytes(b"")
    source = {"folder": folder, "run": tmp_path / "run", "run@3": f"{tmp_path / 'run'}@3"}[named]
    bare, curated = (
        made("pocket", "spark", job="curate"),
        made("pocket", "spark", f"curate.adapter={source}", job="curate"),
    )
    (weights,) = (part.bytes for part in bare.memory if part.name.endswith("weights"))
    copies = {part.name: part.bytes for part in curated.memory if part.name not in {part.name for part in bare.memory}}
    assert copies == ({"curator's copy of the weights": weights} if file == FULL else {})
    assert curated.used - bare.used == pytest.approx(sum(copies.values()))


def test_the_command_prints_each_profile_in_one_line_or_one_in_full():
    every = shell("plan")
    assert every.code == 0 and {"pocket", "spark"} <= {line.split(",")[0] for line in every.out.splitlines()}
    full = shell("plan", "--profile", "spark", "--machine", "h200")
    assert full.code == 0 and "141 GB" in full.out and "departures from the published settings" in full.out
    tight = shell("plan", "--profile", "spark", "--machine", "rtx4090")
    assert tight.code == 1 and "it does not fit" in tight.out


def test_the_command_prints_json_with_each_part():
    told = json.loads(shell("plan", "--profile", "spark", "--json").out)
    assert told["fits"] is True and told["machine"]["bandwidth"] == 273e9
    assert {"name", "bytes", "how", "unmeasured"} <= set(told["memory"][0])
    assert any(departure["setting"] == "training.groups" for departure in told["departures"])


def test_a_model_that_cannot_be_trained_is_planned_for_a_curate_run():
    code, out, _ = shell("plan", "--profile", "endpoint")
    assert code == 0 and out.startswith("curate run of the profile endpoint")
    code, out, _ = shell("plan", "--profile", "endpoint", "--job", "train")
    assert code == 0 and out.startswith("train run of the profile endpoint")


def test_an_unknown_machine_is_refused_for_all_profiles_at_once():
    code, out, err = shell("plan", "--machine", "sparc")
    assert code == 1 and not out and "did you mean spark" in err


def test_an_unknown_machine_has_the_nearest_name():
    done = shell("plan", "--profile", "pocket", "--machine", "sparc")
    assert done.code == 1 and "did you mean spark?" in done.err


def test_a_model_that_is_not_known_is_unmeasured_with_its_reason():
    done = shell("plan", "--profile", "spark", "--set", "model.weights=acme/wonder")
    assert done.code == 0 and "unmeasured (acme/wonder is not on this machine" in done.out
    assert "whether it fits is not known" in done.out and "time unmeasured" in done.out


def test_the_plan_imports_no_heavy_library():
    code = "import sys; from engine.cli import main; main(['plan', '--profile', 'spark']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(eval(done.stdout.splitlines()[-1]))
    assert not loaded & {"torch", "transformers", "openai", "keyring", "pynvml", "huggingface_hub", "numpy"}


# Before a run


@pytest.fixture
def giant(tmp_path):
    """A folder of a model whose weights alone are larger than any memory."""
    shape = {"model_type": "qwen3", "num_attention_heads": 64, "hidden_size": 16384, "num_hidden_layers": 200}
    config = {**shape, "intermediate_size": 65536, "vocab_size": 151936, "head_dim": 128}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_a_run_that_cannot_fit_is_refused_with_figures(giant):
    config = load_profile("pocket", [f"model.weights={giant}"])
    why = refusal(config, TRAIN)
    assert "the run needs at least" in why and "GB" in why and "weights" in why and "this machine" in why
    assert refusal(load_profile("pocket"), TRAIN) == ""


def test_the_preflight_of_a_run_refuses_it(giant, monkeypatch):
    config = load_profile("pocket", ["training.micro_batch_tokens=200000"])
    monkeypatch.setattr("engine.system.plan.machines.host_memory", lambda: 1_000_000)
    with pytest.raises(ConfigError, match="the run needs at least"):
        check(config, "train")


def test_a_run_that_may_not_fit_is_doubted_with_figures(monkeypatch):
    config = load_profile("pocket", ["training.micro_batch_tokens=700000", "curator.max_prompt_tokens=3900"])
    monkeypatch.setattr("engine.system.plan.machines.host_memory", lambda: 4 * 10**9)
    (doubt,) = doubts(config, TRAIN)
    assert "may need about" in doubt and "activations" in doubt and "4.0 GB" in doubt
    check(config, "train")


def test_a_control_groups_limit_is_the_memory_that_counts(monkeypatch):
    files = {
        **host(64 * GIB, GIB // 2),
        "/proc/self/cgroup": "0::/user.slice/app.scope\n",
        "/sys/fs/cgroup/user.slice/app.scope/memory.max": f"{2 * GIB}\n",
        "/sys/fs/cgroup/user.slice/app.scope/memory.current": "0\n",
    }
    monkeypatch.setattr("engine.system.plan.machines.RealFiles", lambda: Files(files))
    assert host_memory() == 2 * GIB and host_available() == GIB // 2


def test_gpus_are_found_by_what_their_driver_shows(tmp_path):
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA GB10\nIRQ:   \t 5\n")  # as published
    assert gpu_names(tmp_path) == ["NVIDIA GB10"] and gpu_names(tmp_path / "none") == []


STEP = """
import asyncio, resource, torch
from pathlib import Path
from engine.config import load_profile
from engine.models.local.models import LocalModels
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer
from engine.models.local.weights import load_base
from engine.training.samples import TrainingSample
from engine.training.trainer import GrpoSession

async def idle(*given): ...

async def play(step):
    ids = torch.randint(3, 700, (1184,)).tolist()
    return [TrainingSample(ids[:1024], ids[1024:], [-1.0] * 160, [1] * 160, float(row % 3)) for row in range(8)]

async def main():
    config = load_profile("pocket", {settings})
    local = LocalModels(load_base(LocalModelSettings()), load_tokenizer(LocalModelSettings()), context=4096)
    saved = Path({path!r})
    await GrpoSession(config, local, local, checkpoints=saved, play=play, after_update=idle, after_step=idle).run(None)

torch.set_num_threads(1)
asyncio.run(main())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_memory_of_a_pocket_step_is_as_planned_within_half(tmp_path, checkpointing):
    """A step of 8 samples of the greatest length, all at once, in a process of its own."""
    settings = ["training.steps=1", "training.groups=1", "training.rollouts=2", "training.tasks=4"]
    settings += ["training.micro_batch_tokens=9472", f"training.gradient_checkpointing={json.dumps(checkpointing)}"]
    source = STEP.format(settings=settings, path=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=1800, check=True)
    measured = int(done.stdout.splitlines()[-1])
    planned = plan(load_profile("pocket", settings), machine_of("this"), TRAIN).used - 0.1e9  # there is no workbench
    assert 2 / 3 < measured / planned < 3 / 2, f"measured {measured / 1e9:.2f} GB, planned {planned / 1e9:.2f} GB"
    print(f"measured {measured / 1e9:.2f} GB, planned {planned / 1e9:.2f} GB")
