"""The shape of a language model: from its folder, from a folder of the hub's cache, or from published figures.

    shape = shape_of("Qwen/Qwen3-8B")            # raises `UnknownShape` with the reason
    shape.parameters                             # 8_190_735_360
    shape.kv_bytes(2)                            # 147_456 bytes a token at two bytes a number: 144 KiB

A folder's config.json has the shape, and the headers of its safetensors files the number of parameters.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from engine.core.errors import ConfigError, SkillosError
from engine.models.catalogue.store import path_of
from engine.models.reading import json_object, numbers_in
from engine.system.plan.figures import figures

QUANTIZED = MappingProxyType(
    {"fp8": 1.0, "int8": 1.0, "nvfp4": 0.5625, "awq": 0.53, "gptq": 0.53, "bitsandbytes": 0.53}
)
"""Bytes a weight of the linear layers, scales included, by a part of the quantization's or the model's name."""
PUBLISHED = "published figures"


class UnknownShape(SkillosError):
    """Why the shape of a model cannot be known here."""


class Shape(msgspec.Struct, frozen=True):
    """A decoder of the kind of Llama and Qwen. `query` and `key_value` are heads × size of a head, `inner` is the width of
    the MLP, `tied`: input and output share one embedding. `parameters` counts every number. `source` is where it is from.
    `full_attention`: each layer keeps every token of the context in the key-value cache."""

    layers: int
    hidden: int
    query: int
    key_value: int
    inner: int
    vocabulary: int
    tied: bool
    parameters: int
    source: str
    head_norms: bool = False
    full_attention: bool = True

    @property
    def here(self) -> bool:
        """Whether the model's files are on this machine."""
        return self.source != PUBLISHED

    @property
    def linear(self) -> int:
        """Parameters of the linear layers: layers × (2·hidden·query + 2·hidden·key_value + 3·hidden·inner)."""
        return self.layers * self.hidden * (2 * self.query + 2 * self.key_value + 3 * self.inner)

    @property
    def rank(self) -> int:
        """The highest rank that a change of a linear layer can have: the smaller side of the largest one."""
        return min(self.hidden, max(self.query, self.key_value, self.inner))

    @property
    def embedding(self) -> int:
        """Parameters of one embedding: vocabulary × hidden."""
        return self.vocabulary * self.hidden

    def weight_bytes(self, number: float, linear: float | None = None) -> int:
        """Bytes of the weights at `number` bytes a number; those of the linear layers, if quantized, at `linear`."""
        return round((self.parameters - self.linear) * number + self.linear * (number if linear is None else linear))

    def moved_bytes(self, number: float, linear: float | None = None) -> int:
        """Bytes that one decoding step reads: the weights without the input's embedding, of which it reads one row a
        token."""
        return self.weight_bytes(number, linear) - (0 if self.tied else round(self.embedding * number))

    def kv_bytes(self, number: float) -> int:
        """Bytes of the key-value cache a token: 2 × layers × key_value × `number`."""
        return round(2 * self.layers * self.key_value * number)

    def lora_parameters(self, rank: int) -> int:
        """Parameters of a LoRA adapter on every linear layer but the output: rank × (inputs + outputs) of each."""
        hidden, inner = self.hidden, self.inner
        attention = 2 * (hidden + self.query) + 2 * (hidden + self.key_value)
        return self.layers * rank * (attention + 3 * (hidden + inner))

    def activation_bytes(self, number: float, *, on_gpu: bool) -> float:
        """Bytes that the backward pass of one layer needs of each token, as was measured by the tensors that PyTorch, PEFT
        and the models of transformers save. Attention saves no matrix of tokens × tokens.

        Both norms keep 2·hidden in 32 bits, and norms of queries and keys query + key_value. At 4 bytes a number the rest is
        2·hidden (the inputs of linear layers), 2·query + 2·key_value (queries, keys, values, and what attention gives) and
        4·inner (gate, its activation, up, their product). At 2 bytes every adapter keeps a copy of its input, 5·hidden +
        query and one inner, in 32 bits or, on a GPU, where the update uses autocast, in 16. At 4 bytes on a GPU keys and
        values are copied for each head (`engine.models.local.attention`): 4·query in all.
        """
        norms = 4.0 * (2 * self.hidden + (self.query + self.key_value if self.head_norms else 0))
        attention = 2 * self.query + 2 * self.key_value
        if number >= 4:
            return norms + number * (2 * self.hidden + (4 * self.query if on_gpu else attention) + 4 * self.inner)
        copies = (2.0 if on_gpu else 4.0) * (5 * self.hidden + self.query + self.inner)
        return norms + copies + number * (attention + 3 * self.inner)

    def layer_bytes(self, number: float, *, on_gpu: bool) -> float:
        """Bytes a token of one layer at work, when its activations are computed again: those, and what is there beside them
        at its peak.

        That is in the backward pass: gradients of two widths of the MLP and of its input. At 2 bytes on a GPU it is in the
        last linear layer, whose input (inner) PEFT copies into 32 bits for the adapter; its output, the input of the MLP,
        the sum after the attention, and two gradients of the layer's output are 5·hidden (measured by PyTorch's record of
        allocations on an H100)."""
        kept = self.activation_bytes(number, on_gpu=on_gpu)
        if on_gpu and number < 4:
            return kept + number * (self.inner + 5 * self.hidden) + 4.0 * self.inner
        return kept + number * (2 * self.inner + self.hidden)


def shape_of(weights: str) -> Shape:
    """The shape of `weights`: "pocket", a folder, or a name on the hub. Raises `UnknownShape`."""
    try:
        folder = folder_of(weights)
        if folder is not None:
            return _of_folder(folder)
    except ConfigError as error:
        raise UnknownShape(str(error)) from error
    except OSError as error:
        raise UnknownShape(f"{error.filename or weights} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UnknownShape(f"the files of {weights} cannot be read: {error}") from error
    if weights.endswith(".gguf"):
        raise UnknownShape(f"{weights} is a file of GGUF, whose shape is not read: give a folder of transformers")
    name = weights.rpartition("/")[2].lower()
    for known, values in figures().models.items():
        own = known.rpartition("/")[2].lower()
        if name == own or name.startswith(f"{own}-"):
            shape = Shape(**values, parameters=0, source=PUBLISHED, head_norms="qwen3" in own)
            return msgspec.structs.replace(shape, parameters=_counted(shape))
    raise UnknownShape(f"{weights} is not on this machine, and no figures of it are known here")


def folder_of(weights: str) -> Path | None:
    """The folder with the files of `weights`: its own, one of the catalogue, or one in the hub's cache; None where there is
    none here. Raises `ConfigError` for a damaged record of the catalogue."""
    if weights == "pocket":
        return Path(str(resources.files("engine"))) / "models" / "pocket"
    folder = path_of(weights) or Path(weights)
    if folder.is_dir():
        return folder
    snapshots = _hub_cache() / f"models--{weights.replace('/', '--')}" / "snapshots"
    found = [path.parent for path in snapshots.glob("*/config.json")] if "/" in weights else []
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def quantized_bytes(name: str) -> float | None:
    """Bytes a weight of the linear layers, by the name of a quantization or of a quantized model; None: not quantized."""
    return next((size for part, size in QUANTIZED.items() if part in name.lower()), None)


def _hub_cache() -> Path:
    """Where the hub's library keeps what it downloaded (its variables HF_HUB_CACHE and HF_HOME)."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub"))


def _of_folder(folder: Path) -> Shape:
    """Raises `UnknownShape`, `ValueError` and `OSError`."""
    config = json_object(folder / "config.json")
    inner = config.get("text_config")
    config = inner if isinstance(inner, dict) else config
    if any(config.get(key) for key in ("num_experts", "num_local_experts", "n_routed_experts")):
        raise UnknownShape(f"{folder} is a mixture of experts, which the plan has no formulas for")

    def number(key: str, default: int | None = None) -> int:
        value: Any = config.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 10**9:
            raise UnknownShape(f"the config.json of {folder} has no usable {key}")
        return value

    heads, hidden = number("num_attention_heads"), number("hidden_size")
    head = number("head_dim", hidden // heads) if config.get("head_dim") else hidden // heads
    keys = number("num_key_value_heads", heads) if config.get("num_key_value_heads") else heads
    shape = Shape(
        layers=number("num_hidden_layers"),
        hidden=hidden,
        query=heads * head,
        key_value=keys * head,
        inner=number("intermediate_size"),
        vocabulary=number("vocab_size"),
        tied=bool(config.get("tie_word_embeddings", False)),
        parameters=0,
        source=f"config.json in {folder}",
        head_norms=str(config.get("model_type", "")).startswith("qwen3"),
        full_attention=_full_attention(config),
    )
    return msgspec.structs.replace(shape, parameters=_in_headers(folder) or _counted(shape))


def _full_attention(config: dict[str, Any]) -> bool:
    """Whether no layer has a window, or keeps less than keys and values."""
    kinds = config.get("layer_types")
    windows = bool(config.get("sliding_window")) and config.get("use_sliding_window") is not False
    others = isinstance(kinds, list) and any(kind != "full_attention" for kind in kinds)
    return not (windows or others or config.get("kv_lora_rank"))


def _in_headers(folder: Path) -> int:
    """The numbers in the safetensors files of a folder, by their headers; 0 where there is none, or quantized ones."""
    files = sorted(folder.glob("*.safetensors"))
    counts = [numbers_in(path) for path in files]
    return sum(count for count in counts if count is not None) if counts and None not in counts else 0


def _counted(shape: Shape) -> int:
    """Parameters by the shape: linear layers, embeddings, and two norms a layer, with one at the end."""
    norms = shape.hidden * (2 * shape.layers + 1)
    return shape.linear + shape.embedding * (1 if shape.tied else 2) + norms
