"""Every metric of the last step: its value, its course over the steps as bars, and what it means where there is room.

What no step of the run measured is named at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.runs.metrics import METRICS, Value, figures, shown
from engine.runs.telemetry import StepMetrics
from skillos_tui.model.view import RunView
from skillos_tui.render.chart import bars
from skillos_tui.render.text import Line, crop, fit, line

STEPS = 60
"""The last steps whose course is shown."""
NAME, VALUE, UNIT = 20, 10, 10
COURSE = (8, 24)
"""The least and the most cells of a course."""
MEANING = 24
"""The least cells of a meaning."""


def legend() -> tuple[str, Sequence[tuple[str, str]]]:
    """What the metrics mean."""
    return "Metrics", [(name, metric.meaning) for name, metric in METRICS.items()]


def metric_lines(view: RunView, width: int) -> list[Line]:
    """The metrics of the run's last step, a row each, under the headings of their groups."""
    steps = steps_of(view)
    if not steps:
        return [line("muted:No step has ended yet.")]
    values = [figures(step) for step in steps]
    lines, missing, group = [line("muted:step ", f"strong:{steps[-1].step}")], [], ""
    for name, metric in METRICS.items():
        course = [found[name] for found in values]
        if all(value is None for value in course):
            missing.append(name)
            continue
        if metric.group != group:
            group = metric.group
            lines.append(line(f"strong:{group}"))
        lines.append(_row(name, course, width))
    if missing:
        lines.append(line("muted:not measured: ", f"muted:{', '.join(missing)}", indent=2))
    return lines


def steps_of(view: RunView) -> list[StepMetrics]:
    """The last steps of the run that ended, as telemetry. When an adapter was published is not known to a view."""
    history = view.history
    return [
        StepMetrics(history.steps[step], history.updates.get(step), held_out=view.held_out.get(step))
        for step in sorted(history.steps)[-STEPS:]
    ]


def _row(name: str, course: Sequence[Value], width: int) -> Line:
    """A metric: its name, its last value, its unit, its course, and its meaning where that fits."""
    metric, last = METRICS[name], course[-1]
    value = "n/m" if last is None else shown(name, last)
    spare = width - NAME - VALUE - 2
    spans = [f"muted:{fit(name, NAME)}", f"{'warn' if last is None else ''}:{value:>{VALUE}} "]
    if spare >= UNIT + COURSE[0]:
        unit = "" if metric.unit == "share" else metric.unit
        spans.append(f"muted:{fit(unit, UNIT)} ")
        spare -= UNIT + 1
    cells = max(0, min(COURSE[1], spare, len(course)))
    known = [float(found) for found in course if found is not None]
    if cells >= 2 and len(course) > 1:
        drawn = bars(course, len(course), cells, min(known), max(known))
        spans.append(f"chart:{drawn} ")
        spare -= COURSE[1] + 1
        if spare >= MEANING:
            spans[-1] = f"chart:{fit(drawn, COURSE[1])} "
    elif spare >= MEANING + COURSE[1]:
        spans.append(f"chart:{' ' * COURSE[1]} ")
        spare -= COURSE[1] + 1
    if spare >= MEANING:
        spans.append(f"muted:{metric.meaning}")
    return crop(line(*spans), width)
