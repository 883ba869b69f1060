"""The pitfalls of models and servers on a DGX Spark, each a line (`models.md`): settings that wedge a host or cost speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from engine.core.parts import kind_of
from engine.system.doctor.base import Check, Subject, ok, problem, unmeasured, warning
from engine.system.doctor.hardware import on_gpu, unified
from engine.system.published import compared, departures, sentence

ALLOCATOR = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
NIM_HOSTS = ("nvcr.io", "integrate.api.nvidia.com")


def _arguments(subject: Subject) -> str:
    sections = (subject.config.model, subject.config.executor_model, subject.config.judge_model)
    return " ".join(str(getattr(settings, "arguments", "")) for settings in sections)


def _starts_vllm(subject: Subject) -> bool:
    return kind_of(subject.config.model) == "vllm" and not getattr(subject.config.model, "url", "")


def cache_size(subject: Subject) -> Iterator[Check]:
    """`gpu_memory_utilization` is no hard cap on a unified machine."""
    if not _starts_vllm(subject):
        return
    size = float(getattr(subject.config.model, "kv_cache_gib", 0.0))
    if "--gpu-memory-utilization" in _arguments(subject):
        found = "--gpu-memory-utilization is no hard cap on a unified machine and can wedge the host"
        yield warning("key-value cache", found, "leave it out, and set model.kv_cache_gib")
    elif not size:
        found = "model.kv_cache_gib=0 leaves the size to vLLM, which takes most of what the device has"
        yield (problem if unified(subject) else warning)("key-value cache", found, "--set model.kv_cache_gib=16")
    else:
        yield ok("key-value cache", f"{size:g} GiB, given in bytes (--kv-cache-memory-bytes)")


def segments(subject: Subject) -> Iterator[Check]:
    """`expandable_segments` must be off on a unified machine."""
    if not on_gpu(subject):
        return
    given = {name: subject.host.environment.get(name, "") for name in ALLOCATOR}
    wrong = [name for name, value in given.items() if "expandable_segments:true" in value.lower().replace(" ", "")]
    if wrong:
        found = f"{wrong[0]} has expandable_segments:True, which fails on a unified machine"
        yield warning("allocator of CUDA", found, f"export {wrong[0]}=expandable_segments:False")
    else:
        yield ok("allocator of CUDA", "expandable_segments is not on")


def sleep_mode(subject: Subject) -> Iterator[Check]:
    if "--enable-sleep-mode" in _arguments(subject):
        yield problem(
            "sleep mode", "--enable-sleep-mode can wedge a unified machine", "leave it out of model.arguments"
        )
    elif _starts_vllm(subject):
        yield ok("sleep mode", "it is not used")


def eager(subject: Subject) -> Iterator[Check]:
    if "--enforce-eager" in _arguments(subject):
        yield warning("CUDA graphs", "--enforce-eager costs about half of the speed", "leave it out of model.arguments")


def attention(subject: Subject) -> Iterator[Check]:
    """FlashAttention 3 does not exist for GB10; the kernels of PyTorch are enough."""
    if not unified(subject):
        return
    chosen = f"{_arguments(subject)} {subject.host.environment.get('VLLM_FLASH_ATTN_VERSION', '')}".lower()
    if "flash_attn_3" in chosen or chosen.endswith(" 3") or "fa3" in chosen:
        found = "FlashAttention 3 is chosen, and this GPU has none"
        yield problem("attention", found, "leave the choice of the attention to vLLM")
    else:
        yield ok("attention", "FlashAttention 3 is not there and not needed: PyTorch's own kernels are used")


def deadlock(subject: Subject) -> Iterator[Check]:
    """Health endpoints stay green in a deadlock; the engine's alarm looks at the tokens."""
    if not _starts_vllm(subject):
        return
    seconds = float(getattr(subject.config.model, "stall_seconds", 0.0))
    if seconds:
        yield ok(
            "deadlock alarm", f"a server whose tokens stand still for {seconds:g} s while requests run is restarted"
        )
    else:
        found = "model.stall_seconds=0: a server in a deadlock stays healthy, and the run would wait for ever"
        yield warning("deadlock alarm", found, "--set model.stall_seconds=180")


def headroom(subject: Subject) -> Iterator[Check]:
    """The guard that pauses rollouts before memory is gone."""
    gib = subject.config.limits.headroom_gib
    if gib:
        yield ok("memory guard", f"requests wait while less than {gib:g} GiB are available")
    elif unified(subject):
        found = "limits.headroom_gib=0: a unified machine that runs out of memory can only be switched off"
        yield warning("memory guard", found, "--set limits.headroom_gib=6")


def nim(subject: Subject) -> Iterator[Check]:
    """NIM needs a key and an image of its own, and has Qwen3-32B but not Qwen3-8B."""
    for section in ("model", "executor_model", "judge_model"):
        settings = getattr(subject.config, section)
        host = (urlsplit(str(getattr(settings, "url", ""))).hostname or "").lower()
        if not host.endswith(NIM_HOSTS):
            continue
        model = str(getattr(settings, "model", "")).lower()
        if "qwen3-8b" in model:
            found, advice = "NIM has no Qwen3-8B", "use Qwen3-32B there, or a server of vLLM"
            yield problem(f"NIM of [{section}]", found, advice)
        elif not getattr(settings, "key", ""):
            yield problem(f"NIM of [{section}]", "NIM needs a key", f"--set {section}.key=NGC_API_KEY")
        else:
            yield ok(f"NIM of [{section}]", "it has a key; it serves no adapters")


def published(subject: Subject) -> Iterator[Check]:
    """The departures from the published settings."""
    if not subject.job.trains:
        return
    if not compared(subject.config):
        yield unmeasured("published settings", "nothing was published for this environment and model")
        return
    found = departures(subject.config)
    listed = "; ".join(map(sentence, found)) if found else "as published"
    yield ok("published settings", f"{len(found)} departures: {listed}" if found else listed)


PITFALLS: tuple[Callable[[Subject], Iterator[Check]], ...] = (
    *(cache_size, segments, sleep_mode, eager, attention, deadlock, headroom, nim, published),
)
