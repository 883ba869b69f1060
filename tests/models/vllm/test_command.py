"""The command and the environment of a server, and what is refused before it starts."""

import msgspec
import pytest

from engine.config import load_profile
from engine.core.errors import ConfigError
from engine.models.vllm.command import command, environment, is_for_cpu
from engine.models.vllm.settings import VllmModelSettings
from engine.system.preflight import check
from tests.models.vllm.program import python_of


def settings(**given):
    return VllmModelSettings(**given)


def profile(*given):
    return load_profile("pocket", ["model.kind=vllm", "model.context=4096", *given])


def test_the_base_and_its_adapters_are_one_server():
    words = command(settings(kv_cache_gib=1.5, context=4096), "/w", 8001, lora_rank=20)
    assert " ".join(words[1:5]) == "-m vllm.entrypoints.openai.api_server --model /w"
    for pair in ("--max-lora-rank 32", "--max-loras 3", "--port 8001", "--max-model-len 4096", "--host 127.0.0.1"):
        assert pair in " ".join(words)
    assert "--kv-cache-memory-bytes 1610612736" in " ".join(words) and "--enable-lora" in words
    assert "--tool-call-parser" not in words  # the calls stay in the text that is trained


def test_a_vllm_for_a_cpu_does_not_divide_prompts(tmp_path):
    python = tmp_path / "python"
    for build in ("cpu", ""):
        python.write_text(f"#!/bin/sh\necho {build}\n")
        python.chmod(0o755)
        assert is_for_cpu(settings(python=str(python))) == bool(build)
        words = command(settings(), "/w", 1, lora_rank=8, cpu=bool(build))
        assert ("--no-enable-chunked-prefill" in words) == bool(build)
    assert not is_for_cpu(settings(python="/nowhere"))


def test_an_executor_of_its_own_may_be_quantized_and_takes_no_adapters():
    words = " ".join(
        command(settings(quantization="fp8", kv_cache_gib=0.0, arguments="--seed 3"), "/w", 1, lora_rank=0)
    )
    assert "--quantization fp8" in words and words.endswith("--seed 3")
    assert "lora" not in words and "kv-cache" not in words


@pytest.mark.parametrize("rank, message", [(513, "is more than vLLM takes, which is 512"), (512, "")])
def test_a_rank_above_what_vllm_takes_is_refused(rank, message):
    if message:
        with pytest.raises(ConfigError, match=message):
            command(settings(), "/w", 1, lora_rank=rank)
    else:
        assert "512" in command(settings(), "/w", 1, lora_rank=rank)


def test_the_server_gets_no_secret_and_what_the_engine_needs():
    own = {"HF_TOKEN": "hf_x", "OPENAI_API_KEY": "sk", "MY_SECRET": "s", "SPARK": "k", "PATH": "/bin", "LANG": "C"}
    env = environment(settings(threads=2, key="SPARK"), own)
    assert not {"HF_TOKEN", "OPENAI_API_KEY", "MY_SECRET", "SPARK"} & set(env)
    assert (env["PATH"], env["OMP_NUM_THREADS"], env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"]) == ("/bin", "2", "True")
    assert env["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:False"


@pytest.mark.parametrize(
    "given, message",
    [
        (["model.python=/nowhere/python"], r"model\.python=/nowhere/python is no file.*\.ci/install-vllm"),
        (["model.url=localhost:8000"], r"model\.url=localhost:8000 cannot be used: expected the address"),
        (["model.url=http://127.0.0.1:99999"], r"cannot be used"),
        (["model.url=http://127.0.0.1:1", "model.port=7"], r"model\.url names a server that runs"),
        (["model.weights=/nowhere/model"], r"model\.weights=/nowhere/model cannot be loaded"),
        (["executor.decoding=loglikelihood"], r"model\.kind=vllm does not"),
    ],
)
def test_what_no_server_can_be_started_with_is_refused_before_the_run(given, message):
    with pytest.raises(ConfigError, match=message):
        check(profile(*given), "train")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("--port 9", r"has --port, which is set by model\.port"),
        ("--max_lora_rank=8", r"has --max-lora-rank, which is set by training\.lora_rank"),
        ("--enable-sleep-mode", "can block a machine with unified memory"),
        ("'", r"model\.arguments cannot be read"),
    ],
)
def test_arguments_that_the_engine_sets_are_refused(tmp_path, arguments, message):
    given = profile(f"model.python={python_of(tmp_path)}")
    check(given, "train")
    changed = msgspec.structs.replace(given.model, arguments=arguments)
    with pytest.raises(ConfigError, match=message):
        check(msgspec.structs.replace(given, model=changed), "train")


def test_a_python_without_vllm_is_refused(tmp_path):
    plain = tmp_path / "python"
    plain.write_text("#!/bin/sh\nexit 1\n")
    plain.chmod(0o755)
    with pytest.raises(ConfigError, match=r"has no package vllm \(\.ci/install-vllm"):
        check(profile(f"model.python={plain}"), "train")


def test_without_a_context_the_server_takes_what_the_model_reads_and_the_cache_holds():
    words = command(settings(context=0), "/w", 8001, lora_rank=8)
    assert words[words.index("--max-model-len") + 1] == "auto"


def test_a_name_of_the_catalogue_stays_a_name_and_python_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smol").mkdir()
    kept = VllmModelSettings(weights="smol", python="bin/python").absolute()
    assert (kept.weights, kept.python) == ("smol", str(tmp_path / "bin" / "python"))
    assert VllmModelSettings(python="bin/python").absolute().python == str(tmp_path / "bin" / "python")


def test_a_context_that_the_model_cannot_read_is_refused_before_a_server_starts(tmp_path):
    with pytest.raises(ConfigError, match=r"model\.context=4097 is more than the 4096 tokens"):
        check(profile("model.context=4097"), "train")


@pytest.mark.parametrize(
    "given, message",
    [
        (["training.lora_rank=600"], r"training\.lora_rank=600 is more than vLLM takes, which is 512 at most"),
        (["model.quantization=fp8"], r"set it in \[executor_model\]"),
        (["model.kv_cache_gib=0.001"], r"holds 699 tokens of pocket, and model\.context=4096 .*kv_cache_gib=0\.006 or"),
        (["model.kv_cache_gib=0.0001", "model.context=0"], r"and an answer of curator\.max_tokens=160 needs more"),
        (
            ['executor_model={kind="vllm", python="/nowhere"}'],
            r"^executor_model\.python=/nowhere is no file",
        ),
    ],
)
def test_what_a_server_would_refuse_after_half_a_minute_is_refused_before_the_run(tmp_path, given, message):
    with pytest.raises(ConfigError, match=message):
        check(profile(f"model.python={python_of(tmp_path)}", *given), "train")


def test_a_rank_and_a_quantization_that_are_not_trained_are_taken(tmp_path):
    check(profile(f"model.python={python_of(tmp_path)}", "training.lora_rank=600", "model.quantization=fp8"), "curate")
