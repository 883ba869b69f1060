"""One measurement of the memory of a run.

sampler = Sampler(Sources(run=run.path))
pool = sampler.pool()                        # quick, and never blocks
event = await sampler.measure(pool)          # waits at most `WAIT_SECONDS` for the GPUs, and for the processes
sampler.hear(event)                          # a `ServerMeasured` has the use of a key-value cache
"""

from __future__ import annotations

import msgspec

from engine.core.events import AnyEvent, GpuMemory, MemoryMeasured, ProcessMemory, ServerMeasured
from engine.core.text import printable
from engine.system.memory.gpu import Device, Gpus, Reading
from engine.system.memory.patience import Patient
from engine.system.memory.pool import Pool, gib, measure_pool
from engine.system.memory.processes import ENGINE, OTHER, SERVERS, WORKBENCH, Process, ProcessTable
from engine.system.memory.sources import Sources

WAIT_SECONDS = 0.7
MAX_PROCESSES = 12
MAX_SERVERS = 16
SERVER_SECONDS = 60.0
"""What a server reported is used for so long."""


class Sampler:
    """Measures the memory of a run. Everything but `hear` is used on one event loop."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._table = ProcessTable(sources)
        self.faults: list[str] = []
        """Faults of the GPUs that nobody has taken yet, as sentences."""
        self._gpus = Gpus(sources)
        self._host: int | None = None
        self._on_gpu: dict[int, int | None] = {}
        self._shared = False
        self._group = ""
        self._asks_gpus = Patient("gpus", lambda: self._gpus.read(self._host), sources.clock)
        self._asks_table = Patient("processes", lambda: self._table.look(self._on_gpu), sources.clock)
        self._servers: dict[str, tuple[float, ServerMeasured]] = {}

    def hear(self, event: AnyEvent) -> None:
        """Take what a server reports of itself."""
        if isinstance(event, ServerMeasured) and (event.server in self._servers or len(self._servers) < MAX_SERVERS):
            self._servers[event.server] = self._sources.clock(), event

    def pool(self) -> Pool:
        """The pool now."""
        return measure_pool(self._sources.files)

    async def measure(self, pool: Pool, headroom: int | None = None) -> MemoryMeasured:
        """Everything, `pool` included. `headroom` is what the guard keeps free, in bytes."""
        reasons = dict(pool.reasons)
        self._host, self._group = pool.host, pool.group
        reading = await self._reading()
        self._on_gpu = on_gpu = _by_process(reading.devices)
        self._shared = any(device.shared for device in reading.devices)
        table = await self._processes(reasons)
        self.faults += reading.faults
        own = {process.pid for process in table if process.own and process.name != WORKBENCH}
        gpu, gpu_source = _gpu(reading, own, on_gpu, reasons)
        kv_cache = self._kv_cache(reasons)
        for name, why in (("torch", reading.no_torch), ("devices", reading.missing)):
            if why:
                reasons[name] = why
        return MemoryMeasured(
            source=f"{pool.source}; {gpu_source}",
            total=pool.total,
            available=pool.available,
            engine=_engine(table),
            gpu=gpu,
            processes=_processes(table, on_gpu),
            swap_used=pool.swap_used,
            swap_total=pool.swap_total,
            pressure=pool.pressure,
            torch_allocated=reading.allocated,
            torch_reserved=reading.reserved,
            kv_cache=kv_cache,
            reasons=reasons,
            gpus=[_shown(device) for device in reading.devices],
            headroom=headroom,
        )

    def largest(self, count: int = 3) -> str:
        """The largest processes of the pool, for a message: "vllm (pid 12) 61.2 GiB, engine (pid 3) 4.1 GiB". What they
        have on a GPU counts where that is the host's memory."""
        on_gpu = self._on_gpu if self._shared else {}
        found = [(one, (one.resident or 0) + (on_gpu.get(one.pid) or 0)) for one in self._table.all(self._group)]
        found.sort(key=lambda pair: pair[1], reverse=True)
        texts = [f"{printable(one.name)} (pid {one.pid}) {gib(size)}" for one, size in found[:count] if size]
        return ", ".join(texts) or "no process can be seen"

    async def _processes(self, reasons: dict[str, str]) -> list[Process]:
        try:
            return await self._asks_table.ask(WAIT_SECONDS)
        except TimeoutError:
            reasons["engine"] = "the list of processes cannot be read: /proc does not answer"
        except OSError as error:
            reasons["engine"] = f"the list of processes cannot be read: {error.strerror}"
        return []

    async def _reading(self) -> Reading:
        try:
            return await self._asks_gpus.ask(WAIT_SECONDS)
        except TimeoutError:
            why = "the NVIDIA driver does not answer"
            return Reading(missing=why, no_torch=why)

    def _kv_cache(self, reasons: dict[str, str]) -> float | None:
        """The use of the fullest key-value cache that a server has reported lately."""
        now = self._sources.clock()
        shares = [
            measured.kv_cache
            for at, measured in list(self._servers.values())
            if now - at <= SERVER_SECONDS and measured.kv_cache is not None
        ]
        if not shares:
            reasons["kv_cache"] = "no model server reports it"
            if self._servers:
                reasons["kv_cache"] = f"no model server has reported it in the last {SERVER_SECONDS:g} s"
            return None
        return max(shares)


def _engine(table: list[Process]) -> int | None:
    """The resident bytes of the engine and its helpers; None where they cannot be listed."""
    sizes = [
        process.resident or 0
        for process in table
        if process.own and process.name != WORKBENCH and process.name not in SERVERS
    ]
    return sum(sizes) if any(process.name == ENGINE for process in table) else None


def _by_process(devices: list[Device]) -> dict[int, int | None]:
    """The bytes on all GPUs by process; None where one of them is not known."""
    found: dict[int, int | None] = {}
    for device in devices:
        for pid, size in device.processes.items():
            before = found.get(pid, 0)
            found[pid] = None if size is None or before is None else before + size
    return found


def _gpu(
    reading: Reading, own: set[int], on_gpu: dict[int, int | None], reasons: dict[str, str]
) -> tuple[int | None, str]:
    """What the run uses of the GPUs, and the source of that figure."""
    sizes = [size for pid in own if (size := on_gpu.get(pid)) is not None]
    if sizes:
        return sum(sizes), "GPU by NVML"
    unlisted = next((why for device in reading.devices if (why := device.reasons.get("processes"))), "")
    if reading.reserved:
        reasons["gpu_processes"] = unlisted or "NVML lists no process of the run, as in a container"
        return reading.reserved, "GPU by torch (reserved)"
    if reading.missing:
        reasons["gpu"] = reading.missing
        return None, reading.missing
    reasons["gpu"] = unlisted or (
        "NVML does not say how much" if any(pid in on_gpu for pid in own) else "no process of the run is seen on a GPU"
    )
    return None, "GPU n/a"


def _processes(table: list[Process], on_gpu: dict[int, int | None]) -> list[ProcessMemory]:
    """The run's processes and the largest others, and what else is on the GPUs; at most `MAX_PROCESSES`."""
    found = [ProcessMemory(process.name, process.pid, process.resident, on_gpu.get(process.pid)) for process in table]
    listed = {process.pid for process in table}
    found += [
        ProcessMemory(f"{OTHER}(not visible here)", pid, None, size)
        for pid, size in on_gpu.items()
        if pid not in listed and size
    ]
    found.sort(key=lambda one: (one.name != ENGINE, one.name.startswith(OTHER), -(one.resident or 0) - (one.gpu or 0)))
    return found[:MAX_PROCESSES]


def _shown(device: Device) -> GpuMemory:
    reason = "" if device.total is not None else device.reasons.get("memory", "")
    return GpuMemory(device.name, device.total, device.used, device.shared, reason)


def noticeable(before: MemoryMeasured, after: MemoryMeasured) -> bool:
    """Whether a person, or a diagram, would miss what changed."""
    if (before.reasons, before.source, before.headroom) != (after.reasons, after.source, after.headroom):
        return True
    if {one.name for one in before.processes} != {one.name for one in after.processes}:
        return True
    share = (after.total or 0) * 0.02
    sizes = [
        (before.available, after.available),
        (before.engine, after.engine),
        (before.gpu, after.gpu),
        (before.swap_used, after.swap_used),
        *((old.used, new.used) for old, new in zip(before.gpus, after.gpus, strict=False)),
    ]
    shares = [(before.pressure, after.pressure, 0.05), (before.kv_cache, after.kv_cache, 0.1)]
    return any(_differ(old, new, share) for old, new in sizes) or any(_differ(*one) for one in shares)


def _differ(before: float | None, after: float | None, least: float) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) >= max(least, 1e-9)


class Thrift(msgspec.Struct):
    """Which measurements are worth an event: at once what changed noticeably, but no two within `least` seconds; in any case
    one each `most` seconds."""

    least: float = 5.0
    most: float = 20.0
    last: MemoryMeasured | None = None
    at: float = 0.0

    def wants(self, measured: MemoryMeasured, now: float, *, at_once: bool = False) -> bool:
        """Whether to emit this measurement, `at_once` in any case; it is then the last one."""
        if self.last is not None and not at_once:
            age = now - self.at
            if age < self.least or (age < self.most and not noticeable(self.last, measured)):
                return False
        self.last, self.at = measured, now
        return True
