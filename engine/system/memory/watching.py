"""The watcher of a run's memory: it measures, guards, and writes events.

await watch(Sources(run=run.path), config.limits, control.holds, writer)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from engine.core.events import AnyEvent, Notice
from engine.core.holds import Holds
from engine.system.memory.guard import Guard
from engine.system.memory.sampler import Sampler, Thrift
from engine.system.memory.sources import Sources
from engine.system.settings import LimitsSettings

SAMPLE_SECONDS = 1.0


class Writer(Protocol):
    """Where events go."""

    def emit(self, event: AnyEvent) -> None:
        """Write an event."""
        ...

    def listen(self, hear: Callable[[AnyEvent], None]) -> None:
        """Call `hear` with each event that anybody emits, in the thread that emits it."""
        ...


async def watch(sources: Sources, limits: LimitsSettings, holds: Holds, writer: Writer) -> None:
    """Measure once a second until cancelled. `MemoryMeasured` is emitted where it shows something new (`Thrift`)."""
    sampler, thrift = Sampler(sources), Thrift()
    guard = Guard(round(limits.headroom_gib * 2**30), holds, writer.emit, sources.clock)
    writer.listen(sampler.hear)
    writer.listen(guard.hear)
    holding, told = False, set[str]()
    while True:
        began = sources.clock()
        pool = sampler.pool()
        measured = await sampler.measure(pool, guard.headroom)
        guard.look(pool, sampler.largest)
        if thrift.wants(measured, began, at_once=guard.holding != holding):
            writer.emit(measured)
        holding = guard.holding
        for fault in sampler.faults:
            if fault not in told:
                told.add(fault)
                writer.emit(Notice("warning", fault))
        sampler.faults.clear()
        await asyncio.sleep(max(0.1, began + SAMPLE_SECONDS - sources.clock()))
