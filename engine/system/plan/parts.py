"""The parts of a run's memory and disk, each by a formula.

    parts = memory_parts(config, models, trains=True)
    total(parts)                                 # bytes; None where a part is not known

A part of the phase "rollouts" and one of the phase "update" are never there at once, where one process does both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from engine.config import Config
from engine.core.text import counted
from engine.curation.registry import strategy_kind
from engine.system.plan.serving import Serving
from engine.system.plan.shapes import Shape
from engine.training.settings import checkpoints_at_once

CUDA = 3e9
"""Bytes of a server's CUDA context, graphs and workspaces (assumed; vLLM reports 1 to 3 GB)."""
CONTEXT = 0.9e9
"""Bytes of the engine's CUDA context, its kernels and cuBLAS's workspaces (measured on an H100: 0.65 GB of context, 0.80 GB
after an update, and 0.1 GB of workspaces)."""
ENGINE_ALONE = 0.1e9
"""Resident bytes of the engine without PyTorch (assumed)."""
ENGINE, ENGINE_CUDA, TRAINER = 0.65e9, 1.6e9, 0.1e9
"""Resident bytes of the engine with PyTorch and a small model, of the engine with CUDA's libraries in use, and of PEFT and
its parts beside it (measured)."""
SERVER_PROCESS = 2.5e9
"""Resident bytes of a server's own processes, without what the models take (assumed)."""
WORKBENCH = 0.1e9
"""Resident bytes of the workbench (measured: 60 to 100 MB)."""
ADAPTERS = 3
"""Adapters that a server holds at once: the present one, the next one, and one that requests in work still use."""
OPTIMISED = 16
"""Bytes of a trained number: weight, gradient and AdamW's two moments, each in 32 bits."""
CHUNK_NUMBERS = 2**25
"""Logits that are computed at once (`engine.training.logprobs`)."""
LOGIT = 12
"""Bytes of a logit at most: itself, its probability and their product in 32 bits (measured: 12.0)."""
COPIED = 4
"""Bytes of a weight in the copy of a base that has the weights of a checkpoint."""
KEPT = 12
"""Bytes of a trained number in a checkpoint: weight and AdamW's two moments, each in 32 bits."""

Phase = Literal["always", "rollouts", "update"]


class Part(msgspec.Struct, frozen=True):
    """One part: its `bytes`, and how they were computed. `bytes` is None where `unmeasured` says why they are not known.

    `device`: it is in the memory of the accelerator; otherwise in the host's. On a unified machine that is one memory.
    `certain`: it follows from settings and files; otherwise it is partly assumed."""

    name: str
    bytes: float | None
    how: str
    phase: Phase = "always"
    device: bool = False
    certain: bool = False
    unmeasured: str = ""


def total(parts: Sequence[Part]) -> float:
    """The peak of the known parts: those that are always there, and the larger of the two phases."""
    sums: dict[Phase, float] = {"always": 0.0, "rollouts": 0.0, "update": 0.0}
    for part in parts:
        sums[part.phase] += part.bytes or 0.0
    return sums["always"] + max(sums["rollouts"], sums["update"])


class Model(msgspec.Struct, frozen=True):
    """A model that is planned: where it is, and its shape; None where `unmeasured` says why it is not known."""

    serving: Serving
    shape: Shape | None
    unmeasured: str = ""


def memory_parts(
    config: Config, models: Sequence[Model], *, trains: bool, reserve: float, copied: bool = False
) -> list[Part]:
    """The memory of a run with `models`, the first of which has the curator. `copied`: the curator is a checkpoint of all
    weights, which is a copy of the base in 32 bits."""
    parts: list[Part] = []
    for model in models:
        curates = "curator" in model.serving.roles
        parts += _of_model(model, config, trains=curates and trains, copied=curates and copied)
    if trains:
        parts += trainer_parts(config, models[0])
    loaded = [model for model in models if model.serving.place == "process"] + (list(models[:1]) if trains else [])
    if any(model.serving.device != "cpu" for model in loaded):
        parts.append(
            Part("engine, CUDA context", CONTEXT, "context, kernels, workspaces, measured on an H100", device=True)
        )
        parts.append(Part("engine", ENGINE_CUDA, "resident set with PyTorch and CUDA, measured on x86 with an H100"))
    elif loaded:
        parts.append(Part("engine", ENGINE, "resident set with PyTorch, measured on x86"))
    else:
        parts.append(Part("engine", ENGINE_ALONE, "resident set without PyTorch, assumed"))
    parts.append(Part("workbench", WORKBENCH, "resident set, measured"))
    if reserve:
        parts.append(Part("system reserve", reserve, "assumed: operating system, page cache, other programs"))
    return parts


def trainer_parts(config: Config, model: Model) -> list[Part]:
    """What an update takes beside the base's weights.

    LoRA: rank × (inputs + outputs) of every linear layer, 16 bytes each (weight, gradient, two moments); method=full: a copy
    of every weight of the base, 16 bytes each, and activations in 32 bits. Activations of a
    micro-batch: tokens × layers × `Shape.activation_bytes`; with gradient checkpointing tokens × layers × hidden × bytes,
    and one layer at work: `Shape.layer_bytes`. Logits: those of a chunk, and what is computed of them; with
    checkpointing they are gone when the layers are at work, so that the larger of the two counts."""
    training, curator, serving = config.training, config.curator, model.serving
    device = serving.device != "cpu"
    parts = [Part("trainer's libraries", TRAINER, "PEFT, measured")]
    shape = model.shape
    if shape is None:
        return [*parts, Part("trainer", None, "", device=device, unmeasured=model.unmeasured)]
    number = serving.trainer if serving.place == "server" else serving.number
    if serving.place == "server":
        how = f"{shape.parameters / 1e9:.2f} G parameters × {number:g} bytes: the trainer's own base"
        parts.append(Part("trainer, base weights", shape.weight_bytes(number), how, device=device, certain=True))
    trained = trained_numbers(config, shape)
    if training.method == "full":
        number = 4.0
        name, how = "curator's copy, gradients, optimiser", f"all weights: {trained / 1e9:.3g} G parameters"
    else:
        name = "LoRA, gradients, optimiser"
        how = f"r = {training.lora_rank} on all linear layers: {trained / 1e6:.1f} M parameters"
    how = f"{how} × {OPTIMISED} bytes"
    parts.append(Part(name, float(trained * OPTIMISED), how, device=device, certain=True))
    samples = training.groups * training.rollouts * training.tasks * strategy_kind(config.strategy).samples_per_position
    length = _longest(config, serving)
    rows = min(max(1, training.micro_batch_tokens // length), samples)
    tokens = rows * length
    each = shape.activation_bytes(number, on_gpu=device)
    phase: Phase = "always" if serving.place == "server" else "update"
    answers = min(rows * min(curator.max_tokens, length), CHUNK_NUMBERS // shape.vocabulary)
    logits = answers * shape.vocabulary * LOGIT
    logits_how = (
        f"{answers:,} tokens at once × {shape.vocabulary:,} × {LOGIT} bytes: logits, and what is computed of them"
    )
    if training.gradient_checkpointing:
        kept = tokens * shape.layers * shape.hidden * number
        how = f"{rows} × {length:,} tokens × {shape.layers} layers × {shape.hidden} × {number:g} bytes: each layer's input"
        parts.append(Part("activations, checkpointed", kept, how, phase, device))
        work = tokens * shape.layer_bytes(number, on_gpu=device)
        how = "one layer computed again, and what its peak adds"
        if logits > work:
            parts.append(Part("logits", logits, f"{logits_how}; one layer at work needs less", phase, device))
        else:
            parts.append(Part("activations, one layer at work", work, f"{how}; logits need less", phase, device))
        return parts
    how = (
        f"{rows} × {length:,} tokens × {shape.layers} layers × {each / 1e3:,.1f} kB; "
        "training.gradient_checkpointing=true keeps a fraction"
    )
    parts.append(Part("activations", tokens * each * shape.layers, how, phase, device))
    parts.append(Part("logits", logits, logits_how, phase, device))
    return parts


def trained_numbers(config: Config, shape: Shape) -> int:
    """How many numbers are trained: those of the adapter, or all of the model."""
    return shape.parameters if config.training.method == "full" else shape.lora_parameters(config.training.lora_rank)


def _of_model(model: Model, config: Config, *, trains: bool, copied: bool) -> Iterator[Part]:
    serving, shape = model.serving, model.shape
    roles = " and ".join(serving.roles)
    if serving.place == "elsewhere":
        return
    where = "server" if serving.place == "server" else "model"
    device = serving.device != "cpu"
    if shape is None:
        yield Part(f"{where} ({roles})", None, "", device=device, unmeasured=model.unmeasured)
        return
    size = shape.weight_bytes(serving.number, serving.linear)
    packed = "" if serving.linear is None else f", linear layers × {serving.linear:g}"
    how = (
        f"{serving.name}, {shape.parameters / 1e9:.3g} G parameters × {serving.number:g} bytes{packed}; {shape.source}"
    )
    yield Part(f"{where} ({roles}), weights", size, how, device=device, certain=True)
    if serving.place == "process":
        if copied:
            how = f"a checkpoint of all weights: {shape.parameters / 1e9:.3g} G parameters × {COPIED} bytes"
            yield Part(
                "curator's copy of the weights", float(shape.parameters * COPIED), how, device=device, certain=True
            )
        seats = min(serving.batch, config.training.groups * config.training.rollouts)
        length = _longest(config, serving)
        number = 4.0 if copied or (trains and config.training.method == "full") else serving.number
        cache = seats * length * shape.kv_bytes(number)
        how = f"at most {seats} × {length:,} tokens × {shape.kv_bytes(number) / 1024:g} KiB"
        yield Part("key-value cache of the rollouts", cache, how, "rollouts", device)
        return
    if serving.kv_cache is None:
        why = "kv_cache_gib=0 leaves it to vLLM, which takes most of what the device has"
        yield Part(f"server ({roles}), key-value cache", None, "", device=device, unmeasured=why)
    else:
        held = serving.kv_cache / shape.kv_bytes(serving.kv_number)
        how = f"kv_cache_gib: {held:,.0f} tokens of {shape.kv_bytes(serving.kv_number) / 1024:g} KiB"
        yield Part(f"server ({roles}), key-value cache", serving.kv_cache, how, device=device, certain=True)
    if trains:
        adapter = shape.lora_parameters(config.training.lora_rank)
        yield Part(
            f"server ({roles}), adapters",
            ADAPTERS * adapter * 2.0,
            f"{ADAPTERS} × {adapter / 1e6:.1f} M × 2 bytes",
            device=device,
        )
    if device:
        yield Part(f"server ({roles}), CUDA and graphs", CUDA, "assumed", device=True)
    yield Part(f"server ({roles}), processes", SERVER_PROCESS, "resident set without the model, assumed")


def disk_parts(
    config: Config, models: Sequence[Model], *, steps: int, unit: str = "step", log: float, trains: bool
) -> list[Part]:
    """What a run of `steps` `unit`s writes, and the weights that are to be downloaded. `log` is a step's bytes in the log.

    A checkpoint: 12 bytes a trained number (weight and two moments) and 0.1 MB. Their number is the most that retention
    leaves at once."""
    parts = []
    if trains:
        shape = models[0].shape
        if shape is None:
            parts.append(Part("checkpoints", None, "", unmeasured=models[0].unmeasured))
        else:
            size = trained_numbers(config, shape) * KEPT + 1e5
            most = checkpoints_at_once(config.training, steps)
            kept = (
                "all are kept"
                if most >= steps
                else f"at most {most} of {steps} are kept at once (training.keep_newest)"
            )
            how = f"{most} × {size / 1e6:,.1f} MB (trained weights and optimiser, 12 bytes a number); {kept}"
            parts.append(Part("checkpoints", size * most, how, certain=True))
    how = f"{counted(steps, unit)} × {log / 1e3:,.0f} kB of events, assumed"
    parts.append(Part("log and repositories", log * steps, how))
    absent = {
        model.serving.weights: model
        for model in models
        if model.serving.place != "elsewhere" and (model.shape is None or not model.shape.here)
    }
    for model in absent.values():
        files = None if model.shape is None else float(model.shape.weight_bytes(2))
        how = "not on this machine, to be downloaded"
        parts.append(Part(f"weights of {model.serving.name}", files, how, unmeasured=model.unmeasured))
    return parts


def _longest(config: Config, serving: Serving) -> int:
    """The longest sample: the curator's longest prompt and answer, as far as the context goes."""
    most = config.curator.max_prompt_tokens + config.curator.max_tokens
    return min(most, serving.context) if serving.context else most
