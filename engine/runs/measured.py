"""What a run's machine and servers last reported, and as lines of text.

found = measured(run)
found.memory.available
lines(found, used)
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import msgspec

from engine.core.events import AdapterPublished, MemoryMeasured, ModelUse, RunStarted, ServerMeasured, StateChanged
from engine.core.text import NOT_KNOWN, printable, size
from engine.runs.directory import Run
from engine.runs.log import Stored
from engine.runs.text import use_line

LOOKED_AT = 32
"""How many of the newest reports of servers are looked through."""


class Measured(msgspec.Struct, frozen=True):
    """The newest measurements. `memory_age_s` are seconds; None without a measurement. `servers` are those that reported
    since the last start, and `published` is the adapter that answers as the curator."""

    memory: MemoryMeasured | None = None
    memory_age_s: float | None = None
    servers: list[ServerMeasured] = []
    published: AdapterPublished | None = None


def measured(run: Run) -> Measured:
    """What the log of `run` has last. What this version cannot read is left out."""
    memory, age = None, None
    for stored in run.tail(1, ["memory_measured"]):
        if isinstance(stored.event, MemoryMeasured):
            memory, age = stored.event, max(0.0, time.time() - stored.at)
    published = [stored.event for stored in run.tail(1, ["adapter_published"])]
    newest = published[0] if published and isinstance(published[0], AdapterPublished) else None
    return Measured(memory, age, servers_of(run), newest)


def memory_since_start(run: Run, until: int | None = None) -> Stored | None:
    """The newest measurement of memory up to event `until`; None where the engine that was started last made none."""
    measured = run.tail(1, ["memory_measured"], until)
    begun, state = 0, ""
    for stored in run.tail(LOOKED_AT, ["run_started", "state_changed"], until):
        before, state = state, stored.event.state if isinstance(stored.event, StateChanged) else "running"
        if state == "starting" or (isinstance(stored.event, RunStarted) and before != "starting"):
            begun = stored.id
    return measured[0] if measured and measured[0].id > begun else None


def servers_of(run: Run, until: int | None = None) -> list[ServerMeasured]:
    """What each server has reported last, since the last start and up to event `until`."""
    started = run.tail(1, ["run_started"], until)
    after = started[0].id if started else 0
    servers: dict[str, ServerMeasured] = {}
    for stored in run.tail(LOOKED_AT, ["server_measured"], until):
        if stored.id > after and isinstance(stored.event, ServerMeasured):
            servers[stored.event.server] = stored.event
    return [*servers.values()]


def lines(found: Measured | None, used: Sequence[ModelUse] = ()) -> Iterator[str]:
    """The measurements for a person. `used` is what the models were used for."""
    found = found or Measured()
    if found.memory is not None:
        yield from _memory(found.memory, found.memory_age_s)
    for server in found.servers:
        yield f"server {printable(server.server, 80)}: {_server(server)}"
    for use in used:
        if use.calls:
            yield use_line(use)
    if (published := found.published) is not None:
        yield f"curator: {proof(published)}"


def proof(published: AdapterPublished) -> str:
    """Which adapter answers, and whether that is proved: "v7, proved: every tensor …"."""
    if published.unmeasured:
        before = f"not distinguishable from v{published.step - 1}"
        return f"v{published.step}, {before} ({printable(published.unmeasured, 200)})"
    return f"v{published.step}, proved: {printable(published.how, 200)}"


def _memory(memory: MemoryMeasured, age: float | None) -> Iterator[str]:
    total = memory.total or None
    free = memory.available if total else None
    guard = f", guarded at {size(memory.headroom)}" if memory.headroom else ""
    when = f", measured {age:.0f} s ago" if age is not None else ""
    source = printable(memory.source, 200)
    yield f"memory: {_known(memory, 'available', free)} of {size(total)} available{guard} ({source}){when}"
    torch = f"; torch {size(memory.torch_allocated)} allocated, {size(memory.torch_reserved)} reserved"
    yield (
        f"  engine {_known(memory, 'engine', memory.engine or None)}; GPU {_known(memory, 'gpu', memory.gpu)}"
        f"{torch if memory.torch_reserved is not None else ''}"
    )
    for one in memory.processes:
        if one.name != "engine":
            on_gpu = f", GPU {size(one.gpu)}" if one.gpu is not None else ""
            yield f"  {printable(one.name, 40)} (pid {one.pid}) {size(one.resident)}{on_gpu}"
    for gpu in memory.gpus:
        own = "shares the host's memory" if gpu.shared else f"{size(gpu.used)} of {size(gpu.total)} in use"
        why = f" ({printable(gpu.reason, 200)})" if gpu.reason and not gpu.shared else ""
        yield f"  {printable(gpu.name, 60)}: {own}{why}"
    if memory.swap_used or memory.pressure:
        pressure = NOT_KNOWN if memory.pressure is None else f"{memory.pressure:.1%}"
        yield f"  swap {size(memory.swap_used)} of {size(memory.swap_total)}; pressure {pressure}"


def _known(memory: MemoryMeasured, name: str, value: int | None) -> str:
    """A figure, or why it is not known."""
    if value is not None:
        return size(value)
    why = memory.reasons.get(name, "")
    return f"{NOT_KNOWN} ({printable(why, 200)})" if why else NOT_KNOWN


def _server(server: ServerMeasured) -> str:
    parts = [
        ("{:,} running", server.running),
        ("{:,} waiting", server.waiting),
        ("KV cache {:.0%}", server.kv_cache),
        ("prefix hits {:.0%}", server.prefix_hits),
        ("{:,.0f} tokens/s", server.generation_rate),
        ("{:,.0f} tokens/s of prompts", server.prompt_rate),
    ]
    return ", ".join(form.format(value) for form, value in parts if value is not None) or "it reports nothing of itself"
