"""Why a server did not start or has ended, from the last lines of its log: what happened, and what to change.

reason_of(log_text, code=1, settings=settings)
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from engine.core.text import printable, without_credentials
from engine.models.vllm.settings import VllmModelSettings

TAIL_BYTES = 200_000
MAX_LINE = 300
KILLED = 137


class Fault(msgspec.Struct, frozen=True):
    """A kind of failure: what its line in the log has, and what to do, in which {setting} is the setting's value."""

    pattern: str
    advice: str


FAULTS = (
    Fault(r"No module named '?vllm", "model.python={python} has no vllm: .ci/install-vllm makes a Python that has it"),
    Fault(
        r"(?i)address already in use|errno 98\b",
        "the port is taken: set model.port=0 for a free one, or stop the process that has it",
    ),
    Fault(
        r"max_model_len.{0,80}is greater than the derived max_model_len",
        "lower model.context={context} to the model's own context",
    ),
    Fault(
        r"(?i)is larger than the (maximum number of tokens that can be stored|available KV cache)"
        r"|to serve at least one request|estimated maximum model length",
        "one request of the longest length does not fit the key-value cache: raise "
        "model.kv_cache_gib={kv_cache_gib:g} or lower model.context={context}",
    ),
    Fault(
        r"(?i)out of memory|OutOfMemoryError|No available memory for the cache"
        r"|less than (desired|requested) [A-Za-z]* ?memory"
        r"|can't allocate memory|Cannot allocate memory|std::bad_alloc|MemoryError|insufficient memory|not enough memory",
        "the server has not enough memory: lower model.kv_cache_gib={kv_cache_gib:g} or model.context={context}, end other "
        "processes, or use smaller weights",
    ),
    Fault(
        r"(?i)max_lora_rank|LoRA rank .* is greater",
        "the rank of the adapters is above the server's limit: lower training.lora_rank",
    ),
    Fault(
        r"error: (unrecognized arguments|argument )",
        "this vLLM does not take an argument: correct model.arguments, or model.quantization, model.dtype or "
        "model.tool_parser, for its version",
    ),
    Fault(
        r"(?i)invalid tool call parser|tool parser.{0,40}(not found|invalid)",
        "model.tool_parser={tool_parser} is none of vLLM's parsers",
    ),
    Fault(r"(?i)unknown quantization|quantization.{0,60}(not supported|invalid)", "change model.quantization"),
    Fault(
        r"(?i)bfloat16 is only supported|does not support (bfloat16|float16|dtype)|dtype .{0,40}not supported",
        "this device cannot compute with model.dtype={dtype}: use float16 or float32",
    ),
    Fault(
        r"(?i)not supported for now|are not supported|no model architectures|Can't load the (configuration|model)"
        r"|not a valid model identifier|Repository Not Found|Cannot find an appropriate cached snapshot|LocalEntryNotFound"
        r"|SafetensorError",
        "vLLM cannot load model.weights={weights}: use a model that it supports, whole on this machine",
    ),
    Fault(
        r"(?i)no CUDA GPUs are available|Failed to infer device type|NVIDIA driver|libcuda|no kernel image",
        "this vLLM finds no GPU that it can use: check the driver, or use vLLM for a CPU (.ci/install-vllm)",
    ),
)
ERROR_LINE = re.compile(r"(?:^|\s|\))(?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b: .+|error: .+|Killed", re.IGNORECASE)
PREFIX = re.compile(r"^(\([^)]*\)\s*)?((ERROR|WARNING|CRITICAL|INFO)\s[\d-]+ [\d:]+\s(\[[^\]]*\]\s?)*)?")
GENERAL = ("Engine core initialization failed", "EngineCore failed to start", "WorkerProc initialization failed")
"""Lines that only say that another process failed, whose error stands further up."""


def tail(log: Path, start: int = 0) -> str:
    """The end of a log from the byte `start` on, "" where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(start, file.tell() - TAIL_BYTES))
            return file.read(TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""


REPORT = re.compile(r"(\([^)]*\) )?(INFO|DEBUG|WARNING) ")
"""A line of the log that is no error, such as the one with all arguments, `max_lora_rank` among them."""


def reason_of(text: str, code: int | None, settings: VllmModelSettings, log: Path) -> str:
    """Why the server whose log ends with `text` ended with `code`: the line that matters, what to change, where the log is.

    `code` is None where it still runs.
    """
    lines = [PREFIX.sub("", line).strip() for line in text.splitlines() if not REPORT.match(line)]
    values = {name: getattr(settings, name) for name in settings.__struct_fields__}
    values["python"] = settings.python or "the engine's own Python"
    for fault in FAULTS:
        if found := next((line for line in lines if re.search(fault.pattern, line)), ""):
            return f"{fault.advice.format(**values)} (vLLM: {quoted(found)}; its log is {log})"
    if code in (KILLED, -9):
        return (
            "it was killed (SIGKILL), as the system does when memory runs out: lower "
            f"model.kv_cache_gib={settings.kv_cache_gib:g} or model.context={settings.context} (its log is {log})"
        )
    errors = [line for line in lines if ERROR_LINE.search(line) and not any(words in line for words in GENERAL)]
    said = next(iter(errors), "") or next((line for line in reversed(lines) if line), "it printed nothing")
    ended = "" if code is None else f"it exited with {code}; "
    return f"{ended}its log, {log}, says: {quoted(said)}"


def quoted(line: str) -> str:
    """A line of the log as a message quotes it."""
    return printable(without_credentials(line), MAX_LINE)
