"""Each check of the doctor on constructed machines; no check fails, waits long, or changes anything."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from engine.config import load_profile
from engine.system.doctor import examining, hardware, pitfalls, servers, software, surroundings, weights
from engine.system.doctor.base import ok
from tests.cli.shell import shell
from tests.system.doctor.machines import CONTAINER, GB10, H100, found, subject

STATES = {"ok", "warning", "problem", "unmeasured"}
SPARK = {"profile": "spark", "files": GB10}


def test_a_bare_machine_is_examined_to_the_end(tmp_path):
    checks = found(tmp_path, versions={}, processor="riscv64")
    assert {check.state for check in checks.values()} <= STATES and len(checks) > 10
    assert all(check.found for check in checks.values())
    assert checks["PyTorch"].state == "problem" and "pip install" in checks["PyTorch"].advice
    assert checks["processor"].state == "warning"
    assert checks["clock"].state == "unmeasured" and "timedatectl is not installed" in checks["clock"].found


def test_a_check_that_fails_or_hangs_is_unmeasured_and_the_others_are_made(tmp_path, monkeypatch):
    def breaks(given):
        yield ok("first", "fine")
        raise ValueError("boom")

    def hangs(given):
        time.sleep(30)
        yield ok("late", "never")

    def works(given):
        yield ok("last", "fine")

    monkeypatch.setattr(examining, "SECONDS", 0.3)
    began = time.monotonic()
    checks = found(tmp_path, checks=(breaks, hangs, works))
    assert time.monotonic() - began < 5
    assert [check.state for check in checks.values()] == ["ok", "unmeasured", "unmeasured", "ok"]
    assert "ValueError: boom" in checks["breaks"].found and "longer than" in checks["hangs"].found


def test_a_spark_has_its_driver_its_gpu_and_a_page_cache_to_drop(tmp_path):
    checks = found(tmp_path, **SPARK, commands={"timedatectl": "yes"}, checks=examining.CHECKS[:6])
    assert checks["driver"].state == "ok" and "580.95.05: NVIDIA GB10" in checks["driver"].found
    assert checks["page cache"].state == "warning" and "drop_caches" in checks["page cache"].advice
    assert checks["clock"].state == "ok" and checks["processor"].state == "ok"


def test_a_gpu_of_its_own_memory_does_not_mind_the_page_cache(tmp_path):
    files = {**H100, "proc/meminfo": H100["proc/meminfo"].replace("2592560", "99592560")}
    checks = found(
        tmp_path, profile="spark", files=files, processor="x86_64", checks=(hardware.driver, hardware.memory)
    )
    assert "page cache" not in checks and checks["driver"].found == "NVIDIA 580.159.04: NVIDIA H100 80GB HBM3"


def test_a_control_group_whose_limit_is_above_the_machine_s_memory_limits_nothing(tmp_path):
    checks = found(tmp_path, profile="spark", files=H100, processor="x86_64", checks=(hardware.memory,))
    assert checks["control group"].state == "ok"


def test_a_profile_for_a_gpu_on_a_machine_without_one_has_problems_with_advice(tmp_path):
    checks = found(tmp_path, profile="spark", files=CONTAINER)
    assert checks["driver"].state == "problem" and "--gpus all" in checks["driver"].advice
    assert checks["control group"].state == "warning" and "4.3 GB" in checks["control group"].found
    assert checks["memory"].state == "unmeasured"


def test_a_driver_without_a_device_is_a_problem(tmp_path):
    files = {name: text for name, text in GB10.items() if not name.startswith("dev/")}
    (check,) = [each for each in found(tmp_path, profile="spark", files=files, checks=(hardware.driver,)).values()][1:]
    assert check.state == "problem" and "/dev has no GPU" in check.found


@pytest.mark.parametrize(("cuda", "state"), [("", "problem"), ("13.0", "ok"), (None, "unmeasured")])
def test_a_gpu_needs_a_build_of_pytorch_for_cuda(tmp_path, monkeypatch, cuda, state):
    monkeypatch.setattr(software, "cuda_of_torch", lambda: cuda)
    check = found(tmp_path, **SPARK, checks=(software.torch,))["PyTorch"]
    assert check.state == state and "2.13.0 for aarch64" in check.found
    assert ("pip install --index-url" in check.advice) == (cuda == "")


def test_the_build_of_the_installed_pytorch_is_read_without_importing_it():
    code = (
        "import sys; from engine.system.doctor.software import cuda_of_torch as c; print('torch' in sys.modules, repr(c()))"
        "; import torch; print(repr(torch.version.cuda or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    read, says = done.stdout.splitlines()
    assert read == f"False {says}"


@pytest.mark.parametrize(
    ("installed", "state"), [("0.32.0", "ok"), ("0.32.0+cpu", "ok"), ("0.19.1", "warning"), ("", "problem")]
)
def test_vllm_is_looked_for_in_the_python_that_starts_the_server(tmp_path, installed, state):
    venv = tmp_path / "venv"
    packages = venv / "lib" / "python3.12" / "site-packages"
    packages.mkdir(parents=True)
    if installed:
        (packages / f"vllm-{installed}.dist-info").mkdir()
    check = found(tmp_path, f"model.python={venv}/bin/python", **SPARK, checks=(software.vllm,))["vLLM of [model]"]
    assert check.state == state and ("pip install vllm==0.32.0" in check.advice) == (state in ("warning", "problem"))


def test_a_key_that_is_missing_is_a_problem_and_no_key_is_shown(tmp_path, monkeypatch):
    settings = ["model.kind=openai", "model.key=SOME_API_KEY"]
    monkeypatch.setattr("engine.models.remote.keys._of_keyring", lambda name: ("", ""))
    missing = found(tmp_path, *settings, checks=(software.keys,))["key of [model]"]
    monkeypatch.setenv("SOME_API_KEY", "planted-8fJ2kQ")
    there = found(tmp_path, *settings, checks=(software.keys,))["key of [model]"]
    assert (missing.state, there.state) == ("problem", "ok") and "planted" not in str(there)


# The model's files


def test_a_damaged_file_of_a_model_is_named(tmp_path):
    import shutil

    from engine.models.local.files import weights_path

    folder = shutil.copytree(weights_path("pocket"), tmp_path / "model")
    whole = found(tmp_path, f"model.weights={folder}", checks=(weights.files,))["model of [model]"]
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(100_000)
    cut = found(tmp_path, f"model.weights={folder}", checks=(weights.files,))["model of [model]"]
    assert (whole.state, cut.state) == ("ok", "problem") and "model.safetensors" in cut.found


def test_a_model_without_recorded_hashes_is_unmeasured_and_not_called_good(tmp_path):
    (tmp_path / "model").mkdir()
    check = found(tmp_path, f"model.weights={tmp_path / 'model'}", checks=(weights.hashes,))["hashes of [model]"]
    assert check.state == "unmeasured" and "manifest.json" in check.found


def test_games_that_are_not_there_are_a_problem_where_the_profile_plays_them(tmp_path):
    games = [f"environment.path={tmp_path / 'games'}"]
    needed = found(tmp_path, "environment.kind=alfworld", *games, checks=(weights.settings,))[
        "settings of [environment]"
    ]
    assert needed.state == "problem" and str(tmp_path / "games") in needed.found
    assert "settings of [environment]" not in found(tmp_path, checks=(weights.settings,))


# Servers


def test_a_taken_port_has_its_holder(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        check = found(tmp_path, f"model.port={port}", **SPARK, checks=(servers.ports,))["port of [model]"]
    assert check.state == "problem" and str(port) in check.found and "model.port=0" in check.advice


@pytest.mark.parametrize(
    ("page", "states"),
    [
        ({"paths": {"/v1/load_lora_adapter": {}}}, {"server of [model]": "ok", "adapters of [model]": "ok"}),
        ({"paths": {"/v1/chat/completions": {}}}, {"server of [model]": "ok", "adapters of [model]": "problem"}),
        ([], {"server of [model]": "ok", "adapters of [model]": "problem"}),
        (b"<html>", {"server of [model]": "unmeasured"}),
        (None, {"server of [model]": "problem"}),
    ],
    ids=["adapters", "no adapters", "a list", "no JSON", "down"],
)
def test_a_server_that_runs_is_asked_whether_it_takes_adapters(tmp_path, page, states):
    pages = {} if page is None else {"http://127.0.0.1:9/openapi.json": page}
    checks = found(tmp_path, "model.url=http://127.0.0.1:9", **SPARK, pages=pages, checks=(servers.answers,))
    assert {name: check.state for name, check in checks.items()} == states


def test_a_server_that_nobody_owns_is_named_with_its_memory(tmp_path):
    """A real process that calls itself VLLM::EngineCore and whose parent has ended."""
    sleeper = "import sys, time; print(flush=True); time.sleep(60)"
    starter = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {sleeper!r}, 'VLLM::EngineCore'],"
    starter += " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True).pid)"
    pid = int(subprocess.run([sys.executable, "-c", starter], capture_output=True, text=True, check=True).stdout)
    try:
        check = found(tmp_path, checks=(servers.orphans,))["orphaned servers"]
        assert check.state == "warning" and f"process {pid} with" in check.found and f"kill {pid}" in check.advice
    finally:
        os.kill(pid, signal.SIGKILL)


# Pitfalls


@pytest.mark.parametrize(
    ("settings", "environment", "name", "state"),
    [
        (["model.kv_cache_gib=0"], {}, "key-value cache", "problem"),
        (["model.arguments=--gpu-memory-utilization 0.9"], {}, "key-value cache", "warning"),
        ([], {}, "key-value cache", "ok"),
        ([], {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}, "allocator of CUDA", "warning"),
        ([], {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:False"}, "allocator of CUDA", "ok"),
        (["model.arguments=--enable-sleep-mode"], {}, "sleep mode", "problem"),
        (["model.arguments=--enforce-eager"], {}, "CUDA graphs", "warning"),
        ([], {"VLLM_FLASH_ATTN_VERSION": "3"}, "attention", "problem"),
        ([], {}, "attention", "ok"),
        (["model.stall_seconds=0"], {}, "deadlock alarm", "warning"),
        (["limits.headroom_gib=0"], {}, "memory guard", "warning"),
    ],
)
def test_each_pitfall_of_a_spark_has_its_line(tmp_path, settings, environment, name, state):
    check = found(tmp_path, *settings, **SPARK, environment=environment, checks=pitfalls.PITFALLS)[name]
    assert check.state == state and (state == "ok" or check.advice)


def test_nim_needs_a_key_and_has_no_qwen3_8b(tmp_path):
    url = ["model.kind=openai", "model.url=https://integrate.api.nvidia.com/v1"]
    for more, state in (([], "problem"), (["model.key=NGC_API_KEY"], "ok"), (["model.model=qwen/qwen3-8b"], "problem")):
        check = found(tmp_path, *url, *more, job="curate", checks=(pitfalls.nim,))["NIM of [model]"]
        assert check.state == state


def test_four_bits_save_no_computation(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.models.vllm.kind.check", lambda settings: None)
    settings = ["model.weights=nvidia/Qwen3-8B-NVFP4"]
    given = subject(tmp_path, *settings, **SPARK)
    check = {each.name: each for each in weights.files(given)}
    assert "precision of [model]" in check or check["model of [model]"].state == "problem"


def test_departures_are_listed_for_the_spark_and_nothing_is_compared_for_the_pocket_model(tmp_path):
    assert (
        "training.groups is 4 (published: 32)"
        in found(tmp_path, **SPARK, checks=(pitfalls.published,))["published settings"].found
    )
    assert found(tmp_path, checks=(pitfalls.published,))["published settings"].state == "unmeasured"


# Surroundings


def test_tmux_must_pass_on_what_is_copied(tmp_path):
    inside = {"TMUX": "/tmp/tmux-1000/default,1,0"}
    for value, state in (("on", "ok"), ("external", "warning"), (None, "unmeasured")):
        commands = {} if value is None else {"tmux": value}
        given = found(tmp_path, environment=inside, commands=commands, checks=(surroundings.clipboard,))
        assert given["clipboard"].state == state
    assert found(tmp_path, checks=(surroundings.clipboard,))["clipboard"].state == "ok"


# The command


def test_the_command_ends_with_1_where_there_is_a_problem_for_the_profile():
    fine, spark = shell("doctor", "--profile", "pocket"), shell("doctor", "--profile", "spark", "--json")
    assert fine.code == 0 and "0 problems" in fine.out
    assert spark.code == 1
    checks = json.loads(spark.out)
    assert {check["state"] for check in checks} <= STATES and any(check["advice"] for check in checks)


def test_the_command_imports_no_heavy_library():
    code = "import sys; from engine.cli import main; main(['doctor']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(eval(done.stdout.splitlines()[-1])) & {"torch", "transformers", "trl", "openai", "vllm", "pynvml"}


def test_the_spark_profile_is_a_profile_like_others():
    config = load_profile("spark")
    assert config.training.gradient_checkpointing and config.model.weights == "Qwen/Qwen3-8B"
    assert config.model_of("executor") is config.model is config.model_of("judge")


def test_what_the_kind_of_run_cannot_use_is_a_problem_as_it_is_at_the_start(tmp_path):
    check = found(tmp_path, "curator.top_p=0.5", checks=(weights.settings,))["settings of a train run"]
    assert check.state == "problem" and "top_p=0.5 leaves out tokens" in check.found
    check = found(tmp_path, profile="endpoint", checks=(weights.settings,))["settings of a train run"]
    assert check.state == "problem" and "cannot be trained" in check.found
