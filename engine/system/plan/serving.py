"""Where the models of a run are, and in which precision, by the settings that backends share: `weights`, `dtype`, `device`.

    servings(config, roles=("curator", "executor"))      # one for each model section that the roles use

A backend with `kv_cache_gib` is a server beside the engine; one with `weights` alone is in the engine's own process; one
without `weights` is elsewhere and takes no memory here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from engine.config import Config
from engine.core.parts import kind_of
from engine.models.settings import ModelSettings
from engine.system.plan.shapes import quantized_bytes

BYTES = MappingProxyType({"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "auto": 2.0})
GIB = 2**30
LOCAL = ("", "localhost", "127.0.0.1", "::1")


class Serving(msgspec.Struct, frozen=True):
    """A model that some roles share. `number` are bytes of a weight, `linear` those of one of a quantized linear layer
    (None: not quantized), `kv_number` those of a number in the key-value cache, `kv_cache` the cache's bytes on a server
    (None: the server decides). `trainer` are bytes of a weight of the trainer's own base, `device` where that base is, and
    `batch` the most requests at once in the engine's own process."""

    kind: str
    place: Literal["process", "server", "elsewhere"]
    roles: tuple[str, ...]
    weights: str
    context: int
    device: str = "cpu"
    number: float = 2.0
    linear: float | None = None
    kv_number: float = 2.0
    kv_cache: float | None = None
    trainer: float = 4.0
    batch: int = 64

    @property
    def name(self) -> str:
        """The last part of the model's name."""
        return self.weights.rstrip("/").rpartition("/")[2]


def servings(config: Config, roles: Sequence[str]) -> list[Serving]:
    """The models of the roles, equal settings once; the first is the curator's where it is among them."""
    found: list[tuple[ModelSettings, list[str]]] = []
    for role in roles:
        settings = config.model_of(role)
        same = next((names for other, names in found if other == settings), None)
        if same is None:
            found.append((settings, [role]))
        else:
            same.append(role)
    return [serving_of(settings, tuple(names)) for settings, names in found]


def serving_of(settings: ModelSettings, roles: tuple[str, ...]) -> Serving:
    """What `settings` say of a model that `roles` use."""
    weights = str(getattr(settings, "weights", ""))
    context = int(getattr(settings, "context", 0))
    kind = kind_of(settings)
    server = hasattr(settings, "kv_cache_gib")
    host = urlsplit(str(getattr(settings, "url", ""))).hostname or ""
    if not weights or (server and host not in LOCAL):
        return Serving(kind, "elsewhere", roles, weights, context)
    dtype = str(getattr(settings, "dtype", "auto"))
    number = BYTES.get(dtype, 2.0)
    quantization = str(getattr(settings, "quantization", ""))
    linear = quantized_bytes(quantization) if quantization else quantized_bytes(weights)
    arguments = str(getattr(settings, "arguments", ""))
    small = re.search(r"--kv-cache-dtype[ =]fp8", arguments) is not None
    cache = float(getattr(settings, "kv_cache_gib", 0.0)) * GIB
    return Serving(
        kind=kind,
        place="server" if server else "process",
        roles=roles,
        weights=weights,
        context=context,
        device=str(getattr(settings, "device", "cpu")),
        number=number,
        linear=linear,
        kv_number=1.0 if small else number,
        kv_cache=cache or None,
        trainer=BYTES.get(str(getattr(settings, "trainer_dtype", dtype)), 2.0),
        batch=int(getattr(settings, "max_batch", 64)),
    )
