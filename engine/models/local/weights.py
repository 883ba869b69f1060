"""Loading the base model of the local backend, and the trained weights of a curator.

    base = load_base(config.model)
    network = put_trained(base, run.checkpoints / "step-0007")

What cannot be loaded raises `ConfigError` with one sentence, also for what transformers, peft and torch raise.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from engine.models.adapters import (
    FULL,
    check_adapter,
    check_trained,
    is_full,
    unloadable_adapter,
    unloadable_weights,
    weights_in,
)
from engine.models.local.files import source_of, unloadable
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import first_line, translated_errors


def load_base(settings: LocalModelSettings) -> PreTrainedModel:
    """The frozen base model on its device. Raises `ConfigError` when it cannot be had, or not put there.

    Of its generation_config.json only the tokens that end an answer are kept: transformers would apply the rest, such as a
    repetition penalty, to every completion, and log-probabilities would not be the model's own.
    """
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[settings.dtype]
    with translated_errors(settings):
        path, options = source_of(settings.weights)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path,
            config=_gguf_config(Path(path), **options) if options else None,
            dtype=dtype,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            **options,
        )
    model, found = loaded
    if fault := _fault_of_tensors(found):
        raise unloadable(settings, fault)
    if options:
        _forget_quantisation(model)
    named = model.generation_config
    model.generation_config = GenerationConfig(eos_token_id=named.eos_token_id, pad_token_id=named.pad_token_id)
    with translated_errors(settings, f"model.device={settings.device} cannot be used"):
        return model.to(settings.device).eval()


def _gguf_config(folder: Path, gguf_file: str) -> Any:
    """The configuration of a GGUF file as transformers reads it, and the size of a head, which it does not read."""
    from gguf import GGUFReader

    config = AutoConfig.from_pretrained(folder, gguf_file=gguf_file, trust_remote_code=False)
    reader = GGUFReader(folder / gguf_file)
    architecture = reader.get_field("general.architecture")
    size = reader.get_field(f"{architecture.contents()}.attention.key_length") if architecture is not None else None
    if size is not None and hasattr(config, "head_dim"):
        config.head_dim = int(size.contents())
    return config


def _fault_of_tensors(found: Mapping[str, Any]) -> str:
    """What of the model its files do not hold, or in another shape: transformers would give it random numbers."""
    if wrong := sorted(found["mismatched_keys"]):
        name, held, wanted = wrong[0]
        return f"its weights do not fit its config.json: {name} has the shape {[*held]} and should have {[*wanted]}"
    if missing := sorted(found["missing_keys"]):
        return f"its weights lack {len(missing)} of the tensors that its config.json describes, such as {missing[0]}"
    return ""


def _forget_quantisation(model: Any) -> None:
    """The weights of a GGUF file are plain numbers once they are loaded: let nothing take them for quantised ones."""
    del model.config.quantization_config
    model.hf_quantizer, model.is_quantized = None, False


def end_tokens(model: Any) -> frozenset[int]:
    """The tokens that end an answer by the model's own files; none where these name none."""
    ends = model.generation_config.eos_token_id
    return frozenset([ends] if isinstance(ends, int) else map(int, ends or ()))


def uses_gpu() -> bool:
    """Whether this process uses a GPU of NVIDIA already."""
    return bool(torch.cuda.is_initialized())


def forked_generators() -> AbstractContextManager[None]:
    """torch's generators are after it as they were before. A GPU that this process does not use is left alone: to read the
    state of its generator would take 0.65 GB there."""
    devices = range(torch.cuda.device_count()) if uses_gpu() else ()
    context: AbstractContextManager[None] = torch.random.fork_rng(devices=devices, device_type="cuda")
    return context


def put_adapter(base: PreTrainedModel, adapter: Path) -> Any:
    """The base with the LoRA adapter of a folder on it (`PeftModel`); `base` itself is changed.

    Raises `ConfigError` for an adapter that cannot be read, or that was trained on another base.
    """
    check_adapter(adapter)
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(base, str(adapter)).eval()
    except (OSError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
        raise unloadable_adapter(adapter, first_line(error)) from error


def put_trained(base: PreTrainedModel, folder: Path) -> Any:
    """The base with the trained weights of a folder: with its adapter, where `base` itself is changed, or a copy of the base
    with all its weights. Raises `ConfigError` for what cannot be read, or was trained on another base."""
    if not is_full(folder):
        return put_adapter(base, folder)
    check_trained(folder)
    return put_all(copy_of(base), folder)


def copy_of(base: PreTrainedModel) -> Any:
    """A copy of the base in evaluation, with its weights in 32 bits. They are frozen."""
    made: Any = copy.deepcopy(base)
    return made.float().eval().requires_grad_(False)


def put_all(model: Any, folder: Path) -> Any:
    """`model` with all weights of a folder in place of its own. Raises `ConfigError` where they do not fit."""
    from safetensors.torch import load_file

    try:
        saved, own = load_file(folder / FULL), dict(model.named_parameters())
    except (OSError, SafetensorError) as error:
        raise unloadable_weights(folder, first_line(error)) from error
    if alone := sorted(saved.keys() ^ own.keys()):
        raise unloadable_weights(folder, f"{alone[0]} is in one of the base and the file only")
    for name, tensor in saved.items():
        if tensor.shape != own[name].shape:
            raise unloadable_weights(
                folder, f"{name} has the shape {[*tensor.shape]}, and the base's {[*own[name].shape]}"
            )
    with torch.no_grad():
        for name, tensor in saved.items():
            own[name].copy_(tensor)
    return model


def differences(network: Any, folder: Path) -> str:
    """What of the trained weights in a folder `network` does not have, tensor by tensor; "" where all are equal.

    Raises `ConfigError` for a file that cannot be read.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    full = is_full(folder)
    if hasattr(network, "peft_config") == full:
        return "it has an adapter, and no weights of its own" if full else "it has no adapter"
    try:
        saved = load_file(weights_in(folder))
    except (OSError, SafetensorError) as error:
        raise (unloadable_weights if full else unloadable_adapter)(folder, first_line(error)) from error
    served = (
        dict(network.named_parameters()) if full else get_peft_model_state_dict(network, save_embedding_layers=False)
    )
    if alone := sorted(saved.keys() ^ served.keys()):
        return f"{alone[0]} is in one of the two only"
    differing = [name for name, tensor in saved.items() if not _same(tensor, served[name])]
    return f"{len(differing)} of {len(saved)} tensors differ, the first is {differing[0]}" if differing else ""


def _same(saved: torch.Tensor, served: torch.Tensor) -> bool:
    return torch.equal(saved.to(served.dtype), served.detach().to(saved.device))
