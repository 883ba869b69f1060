"""A model as one GGUF file, for programs that read this format (llama.cpp, Ollama, our local backend).

    notes = write(model, tokenizer, folder / "model.gguf", name="pocket")        # raises `NotWritable` with the reason

The package gguf knows the names of tensors and fields. The weights are written in their own type (float32, bfloat16 or
float16), norms and biases as float32. Only architectures whose tensors need no change but that of Llama's rotary halves are
written. The file is read back and compared, tensor by tensor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gguf
import numpy as np
import torch

from engine.core.errors import SkillosError

ARCHITECTURES: Mapping[str, Any] = MappingProxyType(
    {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2, "qwen3": gguf.MODEL_ARCH.QWEN3}
)
"""The architectures that can be written, by transformers' `model_type`."""
TYPES: Mapping[torch.dtype, Any] = MappingProxyType(
    {
        torch.float32: gguf.GGMLQuantizationType.F32,
        torch.float16: gguf.GGMLQuantizationType.F16,
        torch.bfloat16: gguf.GGMLQuantizationType.BF16,
    }
)
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""Kinds of tokens in GGUF."""
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITTERS: Mapping[str, str] = MappingProxyType(
    {rf"{_WORDS}|\p{{N}}|{_REST}": "qwen2", rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}": "llama-bpe"}
)
"""GGUF's name of a tokenizer's rule that splits text, by its regular expression."""
OWN_RULE = (
    "GGUF has no name for the rule by which this tokenizer splits text: the tokenizer's files beside the .gguf file have "
    "it, and skillos-engine reads them, but other programs split text differently and get other answers"
)


class NotWritable(SkillosError):
    """A model that cannot be written as GGUF. The message gives the reason."""


def write(model: Any, tokenizer: Any, file: Path, name: str) -> list[str]:
    """Write a model of transformers to `file`, and read it back; notes for the user. Raises `NotWritable` and `OSError`."""
    config = model.config
    _check(config)
    vocabulary = _vocabulary(tokenizer)
    architecture = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(file, gguf.MODEL_ARCH_NAMES[architecture])
    try:
        _add_shape(writer, config, name)
        notes = _add_tokenizer(writer, tokenizer, vocabulary, config.vocab_size)
        writer.add_file_type(_file_type(model.dtype))
        for title, values in _tensors(model, architecture):
            writer.add_tensor(title, gguf.quants.quantize(values, kind := _kind(values, model.dtype)), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    _read_back(file, model, architecture)
    return notes


def check_architecture(kind: str) -> None:
    """Raises `NotWritable` for a `model_type` of transformers that is not written."""
    if kind not in ARCHITECTURES:
        raise NotWritable(
            f"the architecture {kind} cannot be written as GGUF here; {', '.join(ARCHITECTURES)} can. Export it with "
            "--merge, and convert the folder with llama.cpp's convert_hf_to_gguf.py"
        )


def _check(config: Any) -> None:
    """Raises `NotWritable` for an architecture that is not written, or has a part that GGUF's has not."""
    check_architecture(config.model_type)
    rope = getattr(config, "rope_parameters", None) or {}
    if (kind := rope.get("rope_type", "default")) != "default":
        raise NotWritable(f"positions that are scaled (rope_type {kind}) cannot be written as GGUF here: use --merge")
    if getattr(config, "use_sliding_window", False):
        raise NotWritable("attention with a sliding window cannot be written as GGUF here: use --merge")


def _add_shape(writer: Any, config: Any, name: str) -> None:
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_name(name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _vocabulary(tokenizer: Any) -> dict[str, Any]:
    """The model of a byte-level BPE tokenizer, as its tokenizer.json has it. Raises `NotWritable` for another kind."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    data: dict[str, Any] = json.loads(backend.to_str()) if backend is not None else {}
    model = data.get("model") or {}
    if model.get("type") != "BPE" or "ByteLevel" not in json.dumps(data.get("pre_tokenizer")):
        kind = model.get("type", type(tokenizer).__name__)
        raise NotWritable(
            f"a tokenizer of the kind {kind} cannot be written as GGUF here, only byte-level BPE: use --merge"
        )
    return data


def _add_tokenizer(writer: Any, tokenizer: Any, data: dict[str, Any], size: int) -> list[str]:
    tokens = {number: token for token, number in tokenizer.get_vocab().items()}
    added = {
        number: CONTROL if token.special else USER_DEFINED for number, token in tokenizer.added_tokens_decoder.items()
    }
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in data["model"]["merges"]]
    rule = next((name for pattern, name in SPLITTERS.items() if pattern in _patterns(data.get("pre_tokenizer"))), "")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(rule or "default")
    writer.add_token_list([tokens.get(number, f"[PAD{number}]") for number in range(size)])
    writer.add_token_types([added.get(number, NORMAL if number in tokens else UNUSED) for number in range(size)])
    writer.add_token_merges(merges)
    for value, add in (
        (tokenizer.bos_token_id, writer.add_bos_token_id),
        (tokenizer.eos_token_id, writer.add_eos_token_id),
        (tokenizer.pad_token_id, writer.add_pad_token_id),
    ):
        if value is not None:
            add(value)
    writer.add_add_bos_token(False)  # the chat template writes it
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)
    return [] if rule else [OWN_RULE]


def _patterns(part: Any) -> list[str]:
    """The regular expressions in the part of a tokenizer.json that splits text."""
    if isinstance(part, dict):
        own = part.get("pattern")
        found = [own["Regex"]] if isinstance(own, dict) and "Regex" in own else []
        return [*found, *(pattern for value in part.values() for pattern in _patterns(value))]
    return [pattern for item in part for pattern in _patterns(item)] if isinstance(part, list) else []


def _tensors(model: Any, architecture: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Every tensor by GGUF's name, as float32. An output layer that is the embedding is not written twice.

    Raises `NotWritable` for a tensor without a name there."""
    config = model.config
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        title = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if title is None:
            raise NotWritable(
                f"the tensor {name} has no name in GGUF for the architecture {config.model_type}: use --merge"
            )
        values = tensor.detach().to("cpu", torch.float32).numpy()
        if config.model_type == "llama":
            values = _interleaved(values, name, config)
        yield title, values


def _interleaved(values: np.ndarray[Any, Any], name: str, config: Any) -> np.ndarray[Any, Any]:
    """Queries and keys of Llama with the two halves of each head interleaved, as GGUF has them."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
    if heads is None:
        return values
    rest = values.shape[1:]
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *rest)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


def _kind(values: np.ndarray[Any, Any], dtype: torch.dtype) -> Any:
    return TYPES[dtype] if values.ndim > 1 else gguf.GGMLQuantizationType.F32


def _file_type(dtype: torch.dtype) -> Any:
    return {
        torch.float32: gguf.LlamaFileType.ALL_F32,
        torch.float16: gguf.LlamaFileType.MOSTLY_F16,
        torch.bfloat16: gguf.LlamaFileType.MOSTLY_BF16,
    }[dtype]


def _read_back(file: Path, model: Any, architecture: Any) -> None:
    """Compare every number in the file with the model's. Raises `NotWritable`."""
    written = {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
    for title, values in _tensors(model, architecture):
        tensor = written.pop(title, None)
        if tensor is None or not np.array_equal(
            gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(values.shape), values
        ):
            raise NotWritable(
                f"{file} was not written as it should be: the tensor {title} differs when it is read back"
            )
    if written:
        raise NotWritable(
            f"{file} was not written as it should be: it has {sorted(written)[0]}, which the model has not"
        )
