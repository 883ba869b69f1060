"""The settings of the local backend."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.core.fields import Count, PathOrName, Positive
from engine.models.catalogue.store import is_name
from engine.models.settings import ModelSettings


class LocalModelSettings(ModelSettings, frozen=True, tag="local"):
    """One base model in the engine's own process, for all roles."""

    weights: PathOrName = "pocket"
    """`pocket` (shipped), a name that `skillos-engine models list` shows, a folder with a model, a .gguf file, or the name
    of a model on the Hugging Face hub."""

    device: str = "cpu"
    """torch's name of a device: cpu, cuda, cuda:1, mps, xpu."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """The type of the weights."""

    threads: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1
    """How many CPU threads torch uses."""

    max_batch: Positive = 64
    """The most requests that are answered as one batch."""

    context: Count = 0
    """The most tokens of a prompt and its answer together, not more than the model can read. 0: what it can read."""

    def absolute(self) -> LocalModelSettings:
        return self if is_name(self.weights) else super().absolute()
