"""Events of the machine and the models on it."""

from __future__ import annotations

import msgspec

from engine.core.events.base import Event
from engine.core.records import GpuMemory, ModelUse, ProcessMemory


class MemoryMeasured(Event, frozen=True):
    """Bytes of memory. `source` says where the figures come from; None means that it is not known, and `reasons` says why,
    by the figure's name.

    `total` and `available` are those of the pool that the run may use (`engine.system.memory`), in older logs 0 where they
    were not known. `engine` is the resident set of the engine and its helpers, without model servers. `gpu` is what the run
    uses of all GPUs, `gpus` each GPU. `pressure` is the share of the last 10 s in which some task waited for memory.
    `torch_allocated` and `torch_reserved` are the engine's own on the GPU, and `kv_cache` is the share of a server's
    key-value cache that is in use. `headroom` is what the guard keeps free; None: it is off, or in older logs.
    """

    source: str
    total: int | None
    available: int | None
    engine: int | None
    gpu: int | None = None
    processes: list[ProcessMemory] = msgspec.field(default_factory=list)
    swap_used: int | None = None
    swap_total: int | None = None
    pressure: float | None = None
    torch_allocated: int | None = None
    torch_reserved: int | None = None
    kv_cache: float | None = None
    reasons: dict[str, str] = msgspec.field(default_factory=dict)
    gpus: list[GpuMemory] = msgspec.field(default_factory=list)
    headroom: int | None = None


class ServerMeasured(Event, frozen=True):
    """What a model server reports of itself; None: it does not. `server` is its address.

    `running` and `waiting` count requests. `kv_cache` is the share of its key-value cache in use, `prefix_hits` the share of
    prompt tokens since the last event that it had in its prefix cache; rates are tokens a second since then.
    """

    server: str
    running: int | None = None
    waiting: int | None = None
    kv_cache: float | None = None
    prefix_hits: float | None = None
    prompt_rate: float | None = None
    generation_rate: float | None = None


class ModelsUsed(Event, frozen=True):
    """What the run's models were used for so far, over all its starts."""

    models: list[ModelUse]
