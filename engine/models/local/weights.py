"""Loading the base model and a LoRA adapter of the local backend.

    base = load_base(config.model)
    network = put_adapter(base, run.checkpoints / "step-0007")

What cannot be loaded raises `ConfigError` with one sentence, also for what transformers, peft and torch raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from engine.models.adapters import WEIGHTS, check_adapter, unloadable_adapter
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


def differences(network: Any, adapter: Path) -> str:
    """What of the adapter in a folder `network` does not have, tensor by tensor; "" where all are equal.

    Raises `ConfigError` for a file that cannot be read.
    """
    if not hasattr(network, "peft_config"):
        return "it has no adapter"
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    try:
        saved = load_file(adapter / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise unloadable_adapter(adapter, first_line(error)) from error
    served = get_peft_model_state_dict(network, save_embedding_layers=False)
    if alone := sorted(saved.keys() ^ served.keys()):
        return f"{alone[0]} is in one of the two only"
    differing = [name for name, tensor in saved.items() if not _same(tensor, served[name])]
    return f"{len(differing)} of {len(saved)} tensors differ, the first is {differing[0]}" if differing else ""


def _same(saved: torch.Tensor, served: torch.Tensor) -> bool:
    return torch.equal(saved.to(served.dtype), served.detach().to(saved.device))
