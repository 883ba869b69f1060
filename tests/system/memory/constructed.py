"""Machines that are constructed from published facts. Only the H100's answers were measured by us.

    files, nvml = Files({**host(GB10_MEMINFO), **process(1, "engine")}), Nvml([Gpu("NVIDIA GB10", memory=NOT_SUPPORTED)])
    sources(files, nvml)

GB10: `nvmlDeviceGetMemoryInfo` answers NOT_SUPPORTED with driver 580.173, MemTotal is 127,600,748 kB, and the list of
processes works (reports on XuehaiPan/nvitop #208); other reports have NVML succeed with total = MemTotal. Inside a container
the list of processes is empty (MiaAI-Lab/sparkDash #10). H100, measured in a virtual machine with driver 580.159.04 and
nvidia-ml-py 13.615: the total of `nvmlDeviceGetMemoryInfo` is nvidia-smi's 81,559 MiB; what is used has the driver's own 480
MiB in it, which nvidia-smi leaves out; the name is a str; the list of processes is empty before there is one, and has its
pid and bytes then; XID events can be registered. `H100_MEASURED` is a process with a tensor of a GiB.
"""

from types import SimpleNamespace

import pynvml

from engine.system.memory.sources import Sources

GIB = 2**30
KIB = 1024
GB10_TOTAL = 127_600_748 * KIB
H100_TOTAL = 81_559 * 2**20
H100_MEASURED = {"used": 2_397_896_704, "process": 1_885_339_648, "allocated": 1_140_850_688, "reserved": 1_176_502_272}
NOT_SUPPORTED, NO_PERMISSION = pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NO_PERMISSION
ENGINE = 100


class Files:
    """The files of a constructed machine, by path; a missing one raises as a real one does."""

    def __init__(self, texts, links=None):
        self.texts, self.links = dict(texts), dict(links or {})
        self.read_paths = []

    def read(self, path):
        self.read_paths.append(path)
        if path not in self.texts:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.texts[path]

    def names(self, path):
        start = f"{path}/"
        found = {name[len(start) :].split("/")[0] for name in (*self.texts, *self.links) if name.startswith(start)}
        if not found:
            raise FileNotFoundError(2, "No such file or directory", path)
        return sorted(found)

    def link(self, path):
        if path not in self.links:
            raise PermissionError(13, "Permission denied", path)
        return self.links[path]


def host(total, available, *, free=None, swap=(0, 0), pressure=0.0):
    """The files of a host; sizes in bytes. `free` is MemFree, which nothing may use."""
    meminfo = {
        "MemTotal": total,
        "MemFree": available // 10 if free is None else free,
        "MemAvailable": available,
        "SwapTotal": swap[1],
        "SwapFree": swap[1] - swap[0],
    }
    return {
        "/proc/meminfo": "".join(f"{name}: {size // KIB:>15} kB\n" for name, size in meminfo.items()),
        "/proc/pressure/memory": psi(pressure),
    }


def psi(share):
    row = f"avg10={share * 100:.2f} avg60=0.00 avg300=0.00 total=381195\n"
    return f"some {row}full {row}"


def process(pid, name, *, parent=1, resident=GIB, command=None, started=7):
    """The files of a process; pages have 4 KiB."""
    rest = " ".join(["S", str(parent), *["0"] * 17, str(started), "0", "0"])
    return {
        f"/proc/{pid}/stat": f"{pid} ({name}) {rest}\n",
        f"/proc/{pid}/statm": f"99999 {resident // 4096} 10 1 0 9 0\n",
        f"/proc/{pid}/cmdline": "\0".join(command or [name]) + "\0",
    }


class Gpu:
    """A constructed GPU. `memory` is (total, used), or the code of the error that NVML answers with; so is `running`, else
    the bytes by pid."""

    def __init__(self, name, memory, running):
        self.name, self.memory, self.running = name, memory, running


class Nvml(SimpleNamespace):
    """NVML with constructed answers; the classes of its errors are the real ones of pynvml."""

    def __init__(self, gpus):
        super().__init__(
            **{name: getattr(pynvml, name) for name in dir(pynvml) if name.startswith(("NVML_", "NVMLError"))}
        )
        self.gpus, self.fails, self.faults, self.inits = gpus, None, [], 0
        self.nvmlEventTypeXidCriticalError = pynvml.nvmlEventTypeXidCriticalError

    def _check(self, code):
        if code:
            raise pynvml.NVMLError(code)

    def nvmlInit(self):
        self.inits += 1
        self._check(self.fails)

    def nvmlShutdown(self):
        self._check(self.fails)

    def nvmlDeviceGetCount(self):
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index):
        return self.gpus[index]

    def nvmlDeviceGetName(self, gpu):
        self._check(self.fails)
        return gpu.name

    def nvmlDeviceGetMemoryInfo(self, gpu):
        self._check(self.fails)
        if isinstance(gpu.memory, int):
            self._check(gpu.memory)
        return SimpleNamespace(total=gpu.memory[0], used=gpu.memory[1], free=gpu.memory[0] - gpu.memory[1])

    def nvmlDeviceGetComputeRunningProcesses(self, gpu):
        self._check(self.fails)
        if isinstance(gpu.running, int):
            self._check(gpu.running)
        return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in gpu.running.items()]

    def nvmlEventSetCreate(self):
        return "events"

    def nvmlDeviceRegisterEvents(self, gpu, kinds, events):
        self._check(self.fails)

    def nvmlEventSetWait_v2(self, events, timeout):
        self._check(self.fails)
        if not self.faults:
            self._check(pynvml.NVML_ERROR_TIMEOUT)
        return SimpleNamespace(eventData=self.faults.pop(0))


class Torch:
    """torch with constructed figures of one GPU."""

    def __init__(self, allocated, reserved):
        self.cuda = SimpleNamespace(
            is_initialized=lambda: True,
            device_count=lambda: 1,
            memory_allocated=lambda number: allocated,
            memory_reserved=lambda number: reserved,
        )


class Clock:
    """A clock that only tests move."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def sources(files, nvml=None, torch=None, clock=None, **more):
    """The sources of a constructed machine, on which the engine is the process `ENGINE`."""
    return Sources(
        files=files, nvml=lambda: nvml, torch=lambda: torch, pid=ENGINE, page=4096, clock=clock or Clock(), **more
    )
