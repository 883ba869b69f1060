"""The settings of the local backend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from engine.core.fields import Positive
from engine.core.parts import absolute_path
from engine.models.settings import ModelSettings


class LocalModelSettings(ModelSettings, frozen=True, tag="local"):
    """One base model in the engine's own process, for all roles."""

    weights: str = "pocket"
    """`pocket` (shipped), a folder with a model, or the name of one on the Hugging Face hub."""

    device: str = "cpu"
    """torch's name of a device: cpu, cuda, cuda:1, mps, xpu."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """The type of the weights."""

    threads: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1
    """How many CPU threads torch uses."""

    max_batch: Positive = 64
    """The most requests that are answered as one batch."""

    context: Positive = 20480
    """The most tokens of a prompt and its answer together."""

    def absolute(self) -> LocalModelSettings:
        path = absolute_path(self.weights)
        is_path = self.weights != "pocket" and self.weights and Path(path).exists()
        return msgspec.structs.replace(self, weights=path) if is_path else self
