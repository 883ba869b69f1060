"""The memory of a run: a sampler that measures once a second, and a guard that pauses the run before memory runs out.

    await watch(Sources(run=run.path), config.limits, control.holds, writer)     # for as long as the engine works

What the figures mean, and where they come from (`workbench.md`, "Memory on a unified-memory machine"):

- The *pool* is MemTotal, or the limit of the control group (a container's) where that is lower. Its *headroom* is
  MemAvailable, or what the group may still take where that is less. On a machine whose GPU shares the host's memory (GB10),
  the pool is the GPU's memory too. MemFree is never used, and neither is `cudaMemGetInfo`, which reports MemFree there: the
  page cache makes both look full.
- *Swap* is the host's, and *pressure* the share of the last 10 s in which some task waited for memory (PSI, "some avg10").
- A process has its resident set on the host, and what NVML says that it has on the GPU. On a machine with shared memory the
  resident set does not contain the latter. Pages that processes share count in each of them.
- The GPU's figure is the sum over the run's processes from NVML, else what torch has reserved, else unknown. NVML lists no
  processes inside some containers. NVML's total of a GPU with shared memory is "Not Supported" or MemTotal; neither is a
  memory of its own.
- A figure that is not known is None and has a reason. It is never 0.
"""

from engine.system.memory.allocation import keep_freed as keep_freed
from engine.system.memory.allocation import returning_freed as returning_freed
from engine.system.memory.sources import Sources as Sources
from engine.system.memory.watching import watch as watch
