"""The GPUs as NVML and torch report them.

    gpus = Gpus(sources)
    reading = gpus.read()              # may hang with the driver: call it in a thread
    reading.devices[0].total

NVML is initialised once. After an error that ends a session (a lost GPU, a reset, an unloaded driver) it is initialised
again, at first after `RETRY_SECONDS`, then more and more rarely.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import msgspec

from engine.system.memory.sources import Sources

RETRY_SECONDS = 10.0
MAX_RETRY_SECONDS = 120.0
MAX_DEVICES = 64
MAX_FAULTS = 8
"""The most faults of the GPUs that are taken in one reading."""

NO_DEVICE = "no NVIDIA device"
SHARED_NAMES = ("GB10", "TEGRA", "ORIN", "THOR", "XAVIER")
"""In the names of GPUs that share the host's memory."""
SAME_TOTAL = 64 * 2**20
"""A GPU whose total differs from MemTotal by at most this many bytes shares the host's memory."""
FAULTS = MappingProxyType(
    {
        13: "an illegal access or instruction in a program on the GPU",
        31: "a page fault in a program on the GPU",
        43: "the GPU stopped a program",
        48: "a memory error that could not be corrected",
        74: "an error of NVLink",
        79: "the GPU has fallen off the bus; the machine must be restarted",
        94: "a memory error that was contained",
        95: "a memory error that was not contained; the GPU must be reset",
        119: "the GPU's own processor does not answer; the GPU must be reset",
    }
)
"""Meanings of XID numbers, by NVIDIA's documentation."""


class Device(msgspec.Struct, frozen=True):
    """One GPU; sizes in bytes. `shared`: it uses the host's memory and has none of its own; None is unknown.

    `processes` are the bytes of each process by pid, None where NVML does not say how many. `reasons` says why a figure is
    None, by its name.
    """

    name: str
    total: int | None = None
    used: int | None = None
    shared: bool | None = None
    processes: dict[int, int | None] = {}
    reasons: dict[str, str] = {}


class Reading(msgspec.Struct, frozen=True):
    """What NVML and torch report. `missing` says why there are no devices, and `no_torch` why there are no figures of
    torch, in bytes. `faults` are sentences about faults of the GPUs since the last reading."""

    devices: list[Device] = []
    missing: str = ""
    allocated: int | None = None
    reserved: int | None = None
    no_torch: str = ""
    faults: list[str] = []


class Gpus:
    """The GPUs of this machine. `read` must not be called by two threads at once."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._nvml: Any | None = None
        self._handles: list[Any] = []
        self._faults: Any | None = None
        self._missing = ""
        self._retry_at: float | None = 0.0
        self._pause = RETRY_SECONDS

    def read(self, host: int | None = None) -> Reading:
        """The present figures; `host` is MemTotal, if it is known."""
        allocated, reserved, no_torch = self._torch()
        if self._retry_at is not None and self._sources.clock() >= self._retry_at:
            self._start()
        devices = [self._device(handle, number, host) for number, handle in enumerate(self._handles)]
        missing = "" if devices else self._missing or NO_DEVICE
        return Reading(devices, missing, allocated, reserved, no_torch, list(self._new_faults()))

    # NVML

    def _start(self) -> None:
        """Begin a session of NVML, or plan the next attempt."""
        if self._nvml is None:
            self._nvml = self._sources.nvml()
            if self._nvml is None:
                self._retry_at, self._missing = None, NO_DEVICE
                return
        nvml = self._nvml
        self._end()
        try:
            nvml.nvmlInit()
            count = min(nvml.nvmlDeviceGetCount(), MAX_DEVICES)
            self._handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(count)]
        except nvml.NVMLError as error:
            self._end()
            self._missing = self._why_no_session(error)
            self._plan_retry()
            return
        self._retry_at, self._pause, self._missing = None, RETRY_SECONDS, ""
        self._watch_faults()

    def _end(self) -> None:
        """End the session, if there is one."""
        self._handles, self._faults = [], None
        nvml = self._nvml
        assert nvml is not None
        try:
            nvml.nvmlShutdown()
        except nvml.NVMLError:
            return  # there was none, or the driver that had it is gone

    def _why_no_session(self, error: Any) -> str:
        nvml = self._nvml
        assert nvml is not None
        match getattr(error, "value", None):
            case nvml.NVML_ERROR_DRIVER_NOT_LOADED:
                return f"{NO_DEVICE}: its driver is not loaded"
            case nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
                return "NVML and the NVIDIA driver have different versions: restart the machine, or the container"
        return f"NVML cannot be used: {_message(error)}"

    def _plan_retry(self) -> None:
        self._retry_at = self._sources.clock() + self._pause
        self._pause = min(self._pause * 2, MAX_RETRY_SECONDS)

    def _device(self, handle: Any, number: int, host: int | None) -> Device:
        """The figures of one GPU."""
        nvml = self._nvml
        assert nvml is not None
        reasons: dict[str, str] = {}
        name, memory, running = f"GPU {number}", None, None
        try:
            name = _name(nvml.nvmlDeviceGetName(handle)) or name
        except nvml.NVMLError as error:
            reasons["name"] = self._why(error)
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        except nvml.NVMLError as error:
            reasons["memory"] = self._why(error)
        try:
            running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except nvml.NVMLError as error:
            reasons["processes"] = self._why(error)
        processes: dict[int, int | None] = {int(one.pid): one.usedGpuMemory for one in running or ()}
        total = None if memory is None else int(memory.total)
        shared = _shared(name, total, host)
        if shared or not total or memory is None:
            if shared:
                reasons["memory"] = "it uses the host's memory and has none of its own"
            return Device(name, None, None, shared, processes, reasons)
        return Device(name, total, int(memory.used), shared, processes, reasons)

    def _why(self, error: Any) -> str:
        """Why a figure is unknown. An error that ends the session plans the next one."""
        nvml = self._nvml
        assert nvml is not None
        code = getattr(error, "value", None)
        known = (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_NO_PERMISSION, nvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        if code in known:
            return f"NVML: {_message(error)}"
        if self._retry_at is None:
            self._plan_retry()
        return f"the GPU is lost: NVML reports {_message(error)}"

    # Faults that the driver reports

    def _watch_faults(self) -> None:
        """Ask for the critical faults (XID) of all GPUs. Some machines do not report them."""
        nvml = self._nvml
        assert nvml is not None
        try:
            faults = nvml.nvmlEventSetCreate()
            for handle in self._handles:
                nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, faults)
        except nvml.NVMLError:
            return
        self._faults = faults

    def _new_faults(self) -> Iterator[str]:
        """The faults since the last reading, in words."""
        nvml, faults = self._nvml, self._faults
        if nvml is None or faults is None:
            return
        for _ in range(MAX_FAULTS):
            try:
                number = int(nvml.nvmlEventSetWait_v2(faults, 0).eventData)
            except nvml.NVMLError as error:
                if getattr(error, "value", None) != nvml.NVML_ERROR_TIMEOUT:
                    self._faults = None
                return
            yield f"the NVIDIA driver reported XID {number}: {FAULTS.get(number, 'see its documentation')}"

    # torch

    def _torch(self) -> tuple[int | None, int | None, str]:
        """The bytes that torch has allocated and reserved on its GPUs, or why they are not known. Nothing is initialised."""
        torch = self._sources.torch()
        if torch is None:
            return None, None, "torch is not loaded"
        if not torch.cuda.is_initialized():
            return None, None, "torch does not use a GPU"
        try:
            numbers = range(torch.cuda.device_count())
            allocated = sum(int(torch.cuda.memory_allocated(number)) for number in numbers)
            return allocated, sum(int(torch.cuda.memory_reserved(number)) for number in numbers), ""
        except RuntimeError as error:
            return None, None, f"torch: {str(error).splitlines()[0][:200] if str(error) else 'CUDA error'}"


def _shared(name: str, total: int | None, host: int | None) -> bool | None:
    """Whether a GPU uses the host's memory; None where that is not known."""
    if any(part in name.upper() for part in SHARED_NAMES):
        return True
    if not total:
        return None
    return host is not None and abs(total - host) <= SAME_TOTAL


def _name(name: Any) -> str:
    """A GPU's name, on one line; some drivers give bytes."""
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    return " ".join(text.split())[:60]


def _message(error: Any) -> str:
    return " ".join(str(error).split())[:120]
