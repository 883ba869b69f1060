"""The pane below the table of runs: the run under the cursor in short, or the comparison of those that are marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.text import size
from skillos_tui.client.runs import CURVES
from skillos_tui.render.chart import bars, bars_over, bounds
from skillos_tui.render.text import Line, clip, fit, line, safe, short_name
from skillos_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from skillos_tui.client.runs import About, Comparison, Course

CURVE = 32
"""Cells of a curve."""
NAME = 28
FIGURES = 24
"""Cells of the figures beside a curve."""


class ReportPane(Pane):
    """A run, or a comparison."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Run", id=id)
        self.shown: About | Comparison | None = None
        self.trouble = ""
        self.shown_as = ""
        """The title that is shown; rows stay in view under the same one."""

    def show(self, shown: About | Comparison | None, title: str, trouble: str = "") -> None:
        """Show a run, a comparison, or why there is none."""
        self.shown, self.trouble = shown, trouble
        if title != self.shown_as:
            self.shown_as, self.top = title, 0
        self.retitle(title)
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        from skillos_tui.client.runs import About

        if self.trouble:
            return [line(f"bad:{self.trouble}", indent=2)]
        if self.shown is None:
            mark, compare = self.workbench.key_of("runs.mark"), self.workbench.key_of("runs.compare")
            how = f"{mark} marks runs, {compare} compares the marked ones."
            return [line(f"muted:The run under the cursor appears here; {how}")]
        return _about(self.shown) if isinstance(self.shown, About) else _comparison(self.shown, width)

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "A run in short", [
            *CURVES.items(),
            ("curve", "one bar a step or measurement, between the figures beside it"),
        ]


def _about(run: About) -> list[Line]:
    lines = [
        _fact("directory", run.path),
        _fact("repository", run.repo),
        _fact("disk", size(run.bytes)),
        *(_curve(name, CURVES[name], course) for name, course in run.courses.items()),
    ]
    if run.trouble:
        lines.append(line(f"bad:{run.trouble}", indent=2))
    return [*lines, line(), *(_setting(row) for row in run.config.splitlines())]


def _fact(label: str, text: str) -> Line:
    return line(f"muted:{label:<12}", f":{text}", indent=12)


def _setting(row: str) -> Line:
    key, equals, value = row.partition(" = ")
    return line(f"accent:{key}", f"muted:{equals}", f":{value}", indent=4) if equals else line(f"strong:{row}")


def _curve(name: str, what: str, course: Course) -> Line:
    """The course of a figure: its first and last measured value, and a bar for each."""
    known = _known(course)
    low, high = bounds(known, least=0.1)
    return _drawn(f"{name:<12}", what, known, bars(course.values, len(course.values), CURVE, low, high))


def _known(course: Course) -> list[float]:
    return [value for value in course.values if value is not None]


def _drawn(label: str, what: str, known: Sequence[float], drawn: str) -> Line:
    """A curve after its label, between the first and the last of its measured values."""
    if not known:
        return line(f"muted:{label}", f"muted:not measured: {what}", indent=len(label))
    change = f"{known[-1] - known[0]:+.3f}" if len(known) > 1 else "one value"
    return line(
        f"muted:{label}",
        f":{known[0]:.3f} ",
        f"chart:{drawn}",
        f": {known[-1]:.3f}",
        f"muted: ({change})",
        indent=len(label),
    )


def _comparison(found: Comparison, width: int) -> list[Line]:
    """Settings that differ, a column for each run, and the curves under one another."""
    names = [safe(short_name(Path(run.path).name)) for run in found.runs]
    cells = max(10, min(30, (width - NAME) // max(1, len(names)) - 2))
    head = "  ".join(fit(name, cells) for name in names)
    lines = [line(f"bad:{Path(run.path).name}: {run.trouble}", indent=2) for run in found.runs if run.trouble]
    lines.append(line(f"muted:{'settings that differ':<{NAME}}", f"strong:{head}"))
    for each in found.differences:
        values = [
            "not known" if run.trouble else "not set" if value is None else value
            for run, value in zip(found.runs, each.values, strict=True)
        ]
        row = "  ".join(fit(safe(clip(value, 200)), cells) for value in values)
        lines.append(line(f"accent:{fit(safe(each.key), NAME)}", f":{row}"))
    if sum(not run.trouble for run in found.runs) < 2:
        lines.append(line("muted:No two configurations can be compared."))
    elif not found.differences:
        lines.append(line("muted:No setting differs."))
    for name, what in CURVES.items():
        lines += [line(), *_curves(name, what, names, [run.courses[name] for run in found.runs], width)]
    return lines


def _curves(name: str, what: str, labels: Sequence[str], courses: Sequence[Course], width: int) -> list[Line]:
    """The curves of several runs under one another, over the same steps and from the same bottom to the same top."""
    known = [value for course in courses for value in _known(course)]
    low, high = bounds(known, least=0.1)
    due = [step for course in courses for step in course.steps] or [0]
    steps = range(min(due), max(due) + 1)
    scale = f", steps {steps[0]} to {steps[-1]}, {low:.2f} to {high:.2f}" if known else ""
    lines = [line(f"strong:{name}", f"muted:  {what}{scale}")]
    cells = max(8, min(CURVE, width - NAME - FIGURES))
    for label, course in zip(labels, courses, strict=True):
        points = dict(zip(course.steps, course.values, strict=True))
        lines.append(_drawn(fit(label, NAME), what, _known(course), bars_over(points, steps, cells, low, high)))
    return lines
