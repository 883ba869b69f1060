"""Memory: total, free, used by the engine and by the GPU, and the source of the figures.

A figure that the machine does not report is "n/a", never 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.events import MemoryMeasured
from skillos_tui.render.text import Line, line
from skillos_tui.widgets.pane import Pane

NOT_KNOWN = "n/a"
LITTLE = 0.1


class MemoryPane(Pane):
    """The newest measurement of memory."""

    def __init__(self, title: str, *, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(title, id=id, classes=classes)
        self.measured: MemoryMeasured | None = None

    def show(self, measured: MemoryMeasured | None) -> None:
        """Show this measurement."""
        self.measured = measured
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        if self.measured is None:
            return [line("muted:The engine has not measured it yet.")]
        return memory_lines(self.measured, width, height)


def memory_lines(measured: MemoryMeasured, width: int, height: int) -> list[Line]:
    """One measurement as lines, with a bar of what is in use where there is room for it."""
    engine, gpu = _size(measured.engine), _size(measured.gpu)
    free, total = _size(measured.available), _size(measured.total)
    if free.endswith(" GiB") and total.endswith(" GiB"):
        free = free.removesuffix(" GiB")
    available = line("muted:available ", f":{free}", f"muted: / {total}", indent=10)
    source = line("muted:source    ", f"muted:{measured.source}", indent=10)
    if height < 5:
        return [available, line("muted:engine    ", f":{engine}", "muted:   GPU ", f":{gpu}"), source]
    taken = 1 - measured.available / measured.total if measured.total > 0 else 0.0
    cells = max(4, min(24, width - 10))
    full = round(taken * cells)
    style = "warn" if 1 - taken < LITTLE else "chart"
    bar = line("muted:in use    ", f"{style}:{'━' * full}", f"axis:{'━' * (cells - full)}")
    return [bar, available, line("muted:engine    ", f":{engine}"), line("muted:GPU       ", f":{gpu}"), source]


def _size(count: int | None) -> str:
    """Bytes in MiB or GiB; "n/a" when not known (a total of zero is not known either)."""
    if not count:
        return NOT_KNOWN
    mebibytes = count / 2**20
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:.0f} MiB"
