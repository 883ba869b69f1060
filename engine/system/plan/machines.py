"""The machine that a run is planned for: a row of figures.toml by its name, or this one.

    machine_of("spark")                 # raises `ConfigError` with the names for another one
    machine_of("this", "cuda")          # the GPU of this machine, if its figures are known; "cpu": its processors

A GPU is found by what its driver shows in /proc, so that nothing heavy is imported.
"""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from engine.core.errors import ConfigError
from engine.core.refusals import nearest
from engine.system.memory.pool import limited_groups, measure_pool
from engine.system.memory.sources import RealFiles
from engine.system.plan.figures import Machine, figures

THIS = "this"
GPUS = Path("/proc/driver/nvidia/gpus")


def machine_names() -> list[str]:
    """Every name that `machine_of` takes."""
    return [THIS, *figures().machines]


def machine_of(name: str, device: str = "cpu") -> Machine:
    """The machine `name`. Of this one, what the models on `device` use. Raises `ConfigError`."""
    if name == THIS:
        return _this(device)
    known = figures().machines
    if name not in known:
        names = machine_names()
        raise ConfigError(f"there is no machine {name!r}{nearest(name, names)}; there are: {', '.join(names)}")
    return known[name]


def host_memory() -> int:
    """Bytes of memory that this process may use: all, or the limit of its control group where that is less."""
    return min([psutil.virtual_memory().total, *(group.limit for group in limited_groups(RealFiles()))])


def host_available() -> int:
    """Bytes of memory that this process may use at present."""
    available = measure_pool(RealFiles()).available
    return int(psutil.virtual_memory().available) if available is None else available


def gpu_names(folder: Path = GPUS) -> list[str]:
    """The names of NVIDIA's GPUs by their driver, such as "NVIDIA GB10"; none where it shows none."""
    names = []
    for path in sorted(folder.glob("*/information")):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        names += [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("Model:")]
    return names


def _this(device: str) -> Machine:
    host = host_memory()
    processors = f"this machine ({os.cpu_count()} processors, {host / 1e9:.0f} GB of memory)"
    if device.startswith("cpu"):
        return Machine(processors, unified=True, memory=host, source="memory measured; its speed is not known")
    for name in gpu_names():
        row = next((figures().machines[row] for part, row in figures().gpus.items() if part in name.lower()), None)
        if row is not None:
            return Machine(
                f"this machine ({name})",
                unified=row.unified,
                memory=host if row.unified else row.memory,
                source=f"{'memory measured; ' if row.unified else ''}{row.source}",
                bandwidth=row.bandwidth,
                flops=row.flops,
                prefill=row.prefill,
                update=row.update,
                reserve=row.reserve,
            )
        return Machine(f"this machine ({name})", unified=False, memory=0, source=f"no figures of {name} are known here")
    return Machine(f"{processors}, no GPU found", unified=False, memory=0, source="no GPU is visible")
