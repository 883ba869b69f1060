"""Memory and model servers: what is free, what each process has, what the servers report, what the models were used for.

    pane.show(view, past_of(view, "finished", silent=0))

What an engine measured is the machine's present state while it works (`past_of` is None). After that it is what was measured
at the run's end, with the time. The pane folds itself to its first line unless little memory is left or a person unfolds it.

A figure that is not known is "n/a", never 0, and its reason is shown where there is room. The lines are in the order of
their importance: a low pane shows the first ones, and scrolls.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.core.text import NOT_KNOWN, size
from skillos_tui.model.target import Target
from skillos_tui.model.view import RunView
from skillos_tui.render.text import Line, clip, line, short, widest
from skillos_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from engine.core.events import GpuMemory, MemoryMeasured, ModelUse, ProcessMemory, ServerMeasured
    from engine.runs.status import ShownState

ENDED: tuple[ShownState, ...] = ("stopped", "finished", "failed", "interrupted")
"""The states in which no engine measures."""
LITTLE = 0.1
LABEL = 10
FOLDED, LOW, TALL = 1, 5, 12
"""A pane of `FOLDED` lines has only what is available. One lower than `LOW` has engine and GPU on one line; one of at least
`TALL` lines lists the processes."""
BAR = range(6, 25)
PRESSED = 0.01
"""Pressure below this is not shown: it comes and goes."""
SERVERS = 4
WITH_ROW = frozenset({"available", "engine", "gpu"})
"""The figures whose reason is in their own row."""
NAMES = {"kv_cache": "KV cache", "torch": "PyTorch"}
"""How a person calls a figure, where that is not its name."""
MAX_REASONS = 12
LEGEND = (
    ("available 21.3 / 23.5", "memory that programs can still have, of all that there is"),
    ("guard at", "with less than this available, the engine pauses the run by itself"),
    ("pressure", "the share of the time in which tasks waited for memory"),
    ("torch", "what PyTorch has allocated on the GPU, and reserved for later"),
    ("KV cache, prefix hits", "of a model server: its cache of attention, and the prompts that it found there"),
    ("n/a", "not known; the reason is beside it"),
)
NOTE = ("available / all memory", "guard: below it the run pauses", "n/a: not known")


class MemoryPane(Pane):
    """The newest measurement of memory, and of the model servers."""

    def __init__(self, title: str, *, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(title, id=id, classes=classes)
        self.view = RunView()
        self.past: Past | None = None
        self.unfolded = False
        """Whether a person unfolded it."""
        self._title = title

    def show(self, view: RunView, past: Past | None) -> None:
        """Show the memory of this run: as it is now, or as it was."""
        self.view, self.past = view, past
        self._fold()

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "Memory", LEGEND

    def meanings(self) -> Sequence[str]:
        return NOTE

    def target(self) -> Target | None:
        return Target("system", "memory")

    @property
    def low(self) -> bool:
        """Whether little of the memory is left now."""
        return self.past is None and self.view.memory is not None and is_low(self.view.memory)

    def fold(self) -> None:
        """Unfold the pane, or fold it to one line; while little is left it stays unfolded."""
        self.unfolded = not self.unfolded
        self._fold()

    def _fold(self) -> None:
        self.set_class(not self.unfolded and not self.low, "-folded")
        key = self.workbench.key_of("live.fold_memory")
        title = (
            f"{self._title} {self.past.how}" if self.past is not None and self.view.memory is not None else self._title
        )
        self.retitle(
            "Memory is low" if self.low else title,
            "" if self.low else f"{key} folds" if self.unfolded else f"{key} unfolds",
        )
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        return memory_lines(self.view, width, height, self.past)


class Past(NamedTuple):
    """Measurements that are not of now: `how` they are related to the run ("at its end"), and when memory was measured, ""
    where that is not known."""

    how: str
    day: str = ""
    time: str = ""


def past_of(view: RunView, state: ShownState, silent: int) -> Past | None:
    """Whether what was measured last is not of now: the engine has ended, or has been silent for so many seconds."""
    if state not in ENDED and not silent:
        return None
    how = "at its end" if state in ENDED else "when the engine was heard of last"
    try:
        then = time.localtime(view.measured_at) if view.measured_at is not None else None
    except (OverflowError, ValueError, OSError):  # no time
        then = None
    return Past(how, time.strftime("%Y-%m-%d", then), time.strftime("%H:%M:%S", then)) if then else Past(how)


def memory_lines(view: RunView, width: int, height: int, past: Past | None = None) -> list[Line]:
    """What is known of the memory, the servers and the use of the models; now, or in the past."""
    measured = view.memory
    named = len(view.servers) > 1
    servers = [row for server in [*view.servers.values()][:SERVERS] for row in _server(server, named=named)]
    uses = [use for use in view.used.models if use.calls] if view.used is not None else []
    used = [_fact("tokens", *_used(uses))] if uses else []
    if measured is None:
        none = "The engine has not measured it yet." if past is None else "Not measured before the engine ended."
        return [line(f"muted:{none}"), *servers, *used]
    source = _fact("source", f"muted:{clip(measured.source, 200)}")
    unknown = [
        _fact("" if number else NOT_KNOWN, f"muted:{clip(f'{name}: {why}', 200)}")
        for number, (name, why) in enumerate(_other_reasons(measured))
    ]
    if past is not None:
        available = _was_available(measured, width, past)
        then = [line(f"muted:Measured {past.how}, {past.day} {past.time}.", indent=2)] if past.day else []
    else:
        available, then = _available(measured, width), []
    if height <= FOLDED:
        return [available]
    first = [available, *then, *_strain(measured), *servers]
    return [*first, *_processes(measured, height), *used, source, *(unknown if height >= TALL else [])]


def _fact(label: str, *spans: str) -> Line:
    """A line of one label; the spans are written "style:text"."""
    return line(f"muted:{label:<{LABEL}}", *spans, indent=LABEL)


def _available(measured: MemoryMeasured, width: int) -> Line:
    """What is available of the pool, with a bar of what is in use, and what the guard keeps free."""
    if not measured.total:
        measured = msgspec.structs.replace(measured, total=None, available=None)  # as older logs write it
    free, total = size(measured.available), size(measured.total)
    if free.endswith(" GiB") and total.endswith(" GiB"):
        free = free.removesuffix(" GiB")
    spans = [f":{free}", f"muted: / {total}"]
    if not measured.total or measured.available is None:
        return _fact("available", *spans, *_why(measured, "available"))
    guard = [f"muted:, guard at {size(measured.headroom)}"] if measured.headroom else []
    used = LABEL + len(free) + len(total) + 3 + 2
    cells = min(BAR[-1], width - used)
    if cells < BAR[0]:
        return widest(width, _fact("available", *spans, *guard), _fact("available", *spans))
    taken = min(1.0, max(0.0, 1 - measured.available / measured.total))
    full = round(taken * cells)
    bar = [f"{'warn' if is_low(measured) else 'chart'}:  {'━' * full}", f"axis:{'━' * (cells - full)}"]
    return widest(width, _fact("available", *spans, *bar, *guard), _fact("available", *spans, *bar))


def _was_available(measured: MemoryMeasured, width: int, past: Past) -> Line:
    """What was available of the pool, and when; no bar, and no guard, since nothing is guarded."""
    known = measured.total and measured.available is not None
    free, total = (size(measured.available), size(measured.total)) if known else (size(None), size(None))
    if total.endswith(" GiB"):
        free = free.removesuffix(" GiB")
    spans = [f":{free}", f"muted: / {total}"]
    times = [f" {past.how}, {past.day} {past.time}", f" at {past.day[5:]} {past.time[:5]}"] if past.day else []
    forms = [_fact("available", *spans, f"muted:{when}") for when in (*times, f" {past.how}", "")]
    return widest(width, *forms)


def is_low(measured: MemoryMeasured) -> bool:
    """Whether less than a tenth of the memory is available, or less than the guard keeps free, or tasks wait for it."""
    if measured.pressure is not None and measured.pressure >= LITTLE:
        return True
    if not measured.total or measured.available is None:
        return False
    return measured.available < max(LITTLE * measured.total, measured.headroom or 0)


def _why(measured: MemoryMeasured, name: str) -> list[str]:
    """Why a figure is not known, where there is a reason."""
    why = measured.reasons.get(name)
    return [f"muted:: {clip(why, 120)}"] if why else []


def _other_reasons(measured: MemoryMeasured) -> list[tuple[str, str]]:
    """The figures that are not known, and why; without those that have a row with their reason, or the reason of one."""
    shown = {why for name, why in measured.reasons.items() if name in WITH_ROW}
    others = [(name, why) for name, why in measured.reasons.items() if name not in WITH_ROW and why not in shown]
    return [(NAMES.get(name, name), why) for name, why in others[:MAX_REASONS]]


def _strain(measured: MemoryMeasured) -> list[Line]:
    """Pressure and swap, where there are any."""
    found = []
    if measured.pressure is not None and measured.pressure >= PRESSED:
        found.append(("pressure", f"{measured.pressure:.0%}"))
    if measured.swap_used:
        found.append(("swap", f"{size(measured.swap_used)} / {size(measured.swap_total)}"))
    if not found:
        return []
    (label, first), *rest = found
    return [_fact(label, *_joined([f"warn:{first}", *(f"warn:{name} {value}" for name, value in rest)]))]


def _processes(measured: MemoryMeasured, height: int) -> Iterator[Line]:
    """What the engine and the other processes have, on the host and on the GPU."""
    engine = f":{size(measured.engine or None)}"
    gpu = _gpu(measured)
    if height < LOW and len(measured.processes) <= 1:
        yield line("muted:engine    ", engine, "muted:   GPU ", *gpu, indent=LABEL)
    elif height >= TALL:
        yield _fact("engine", engine, *_why(measured, "engine"))
        for one in measured.processes:
            parts = [size(one.resident), *([f"GPU {size(one.gpu)}"] if one.gpu is not None else [])]
            yield _fact("", f":{clip(one.name, 40)}", f"muted: (pid {one.pid})  ", f":{', '.join(parts)}")
        yield _fact("GPU", *gpu)
    else:
        others = [_share(name, found) for name, found in _by_name(measured.processes).items() if name != "engine"]
        yield _fact("engine", *_joined([engine, *others]))
        yield _fact("GPU", *gpu)
    if measured.torch_reserved is not None:
        yield _fact(
            "torch", f":{size(measured.torch_allocated)}", f"muted: allocated, {size(measured.torch_reserved)} reserved"
        )


def _by_name(processes: Sequence[ProcessMemory]) -> dict[str, list[ProcessMemory]]:
    found: dict[str, list[ProcessMemory]] = {}
    for one in processes:
        found.setdefault(one.name, []).append(one)
    return found


def _share(name: str, processes: Sequence[ProcessMemory]) -> str:
    """What the processes of one name have together: "vllm 2.1 GiB + GPU 61.2 GiB"."""
    host = [one.resident for one in processes if one.resident is not None]
    gpu = [one.gpu for one in processes if one.gpu is not None]
    parts = [size(sum(host))] if host else []
    parts += [f"GPU {size(sum(gpu))}"] if gpu else []
    return f":{clip(name, 24)} {' + '.join(parts) or NOT_KNOWN}"


def _gpu(measured: MemoryMeasured) -> list[str]:
    """What the run uses of the GPUs, or why that is not known, and each GPU."""
    spans = [f":{size(measured.gpu)}"]
    if measured.gpu is None:
        spans += _why(measured, "gpu")
    for gpu in measured.gpus[:8]:
        spans += ["axis: · ", f"muted:{_device(gpu)}"]
    return spans


def _device(gpu: GpuMemory) -> str:
    """One GPU: its name, what all its users have, and of how much."""
    name = clip(gpu.name, 40)
    if gpu.shared:
        return f"{name}, shares the host's memory"
    if gpu.total is None:
        return f"{name} {NOT_KNOWN}{f' ({clip(gpu.reason, 120)})' if gpu.reason else ''}"
    return f"{name} {size(gpu.used)} / {size(gpu.total)} in use"


def _server(server: ServerMeasured, *, named: bool) -> Iterator[Line]:
    """What a server reports of itself, on one line or two."""
    address = clip(server.server, 60)
    load = [
        f":{short(count)} {what}"
        for count, what in ((server.running, "running"), (server.waiting, "waiting"))
        if count is not None
    ]
    if server.generation_rate is not None:
        load.append(f":{short(round(server.generation_rate))} tokens/s out")
    if server.prompt_rate is not None:
        load.append(f":{short(round(server.prompt_rate))} in")
    cache = [
        f"{'warn' if name == 'KV cache' and share > 1 - LITTLE else ''}:{name} {share:.0%}"
        for name, share in (("KV cache", server.kv_cache), ("prefix hits", server.prefix_hits))
        if share is not None
    ]
    if named or not (load or cache):
        yield _fact("server", f":{address}", *([] if load or cache else ["muted: reports nothing of itself"]))
    if load:
        yield _fact("" if named else "server", *_joined(load))
    if cache:
        yield _fact("" if named or load else "server", *_joined(cache), *([] if named else [f"muted:  {address}"]))


def _used(models: Sequence[ModelUse]) -> list[str]:
    """Tokens and money of each role: "executor 1.2M in, 40.0k out, 78% cached, cost 0.42"."""
    found = []
    for use in models[:8]:
        parts = [f"{short(use.prompt_tokens)} in", f"{short(use.completion_tokens)} out"]
        if use.cached_tokens is not None and use.prompt_tokens > 0:
            parts.append(f"{use.cached_tokens / use.prompt_tokens:.0%} cached")
        if use.cost is not None:
            parts.append(f"cost {use.cost:,.4g}" if use.cost < 1 else f"cost {use.cost:,.2f}")
        if use.failures:
            parts.append(f"{short(use.failures)} failed")
        found.append(f":{clip(use.role, 16)} {', '.join(parts)}")
    return _joined(found)


def _joined(spans: Sequence[str]) -> list[str]:
    """The spans with a dot between them."""
    return [part for at, span in enumerate(spans) for part in (["axis: · "] if at else []) + [span]]
