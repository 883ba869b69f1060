"""A run's figures over its steps, as curves for charts and tables.

    telemetry = Telemetry()
    telemetry.follow(run)
    curves = curves_of(telemetry)
    curves["entropy"].points[12]              # None: step 12 did not measure it
    TOGETHER["parts"]                         # curves that are read together

Beside `engine.runs.metrics.METRICS` there are the spread of the rewards inside the groups ("spread_least", "spread_most"),
the seconds of each phase ("seconds.rollouts") and the curator's calls by operation ("calls.insert").
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from types import MappingProxyType

import msgspec

from engine.runs.metrics import METRICS, Value, figures
from engine.runs.telemetry import StepMetrics, Telemetry

AVERAGED = 5
"""The most steps at each end of a curve whose means its change compares."""


class Curve(msgspec.Struct, frozen=True):
    """One figure over the steps at which it is due: its value, None where it was not measured. `unit` is as in `Metric`;
    `group` is the heading under which it is listed."""

    name: str
    group: str
    unit: str
    meaning: str
    points: dict[int, float | None]

    @property
    def newest(self) -> float | None:
        """The value of the last step; None where that step did not measure it."""
        return self.points[max(self.points)] if self.points else None

    @property
    def change(self) -> float | None:
        """The mean of the last measured values less that of the first ones: a quarter of all, at most `AVERAGED`, at each
        end. None below two."""
        known = [value for value in self.points.values() if value is not None]
        if len(known) < 2:
            return None
        ends = max(1, min(AVERAGED, len(known) // 4))
        return fmean(known[-ends:]) - fmean(known[:ends])


class Together(msgspec.Struct, frozen=True):
    """Curves that one chart shows. A name that ends in "." means all curves that begin with it."""

    title: str
    meaning: str
    names: tuple[str, ...]


TOGETHER: Mapping[str, Together] = MappingProxyType(
    {
        "parts": Together(
            "r and its parts",
            "the composite reward and what it is made of",
            ("r", "r_task", "r_fc", "r_cnt", "r_comp", "r_human"),
        ),
        "spread": Together(
            "spread in groups",
            "standard deviation of r inside a group: the least, the mean and the greatest of the step",
            ("spread_most", "reward_std", "spread_least"),
        ),
        "operations": Together("operation mix", "the curator's calls by operation, valid or not", ("calls.",)),
        "phases": Together("seconds by phase", "where the time of a step goes", ("seconds.",)),
    }
)


def curves_of(telemetry: Telemetry) -> dict[str, Curve]:
    """Every curve of a run by its name, in the order in which they are listed; those without any step are left out."""
    steps = [telemetry.steps[step] for step in sorted(telemetry.steps)]
    values = {step.step: figures(step) for step in steps}
    found = [_metric(name, values) for name in METRICS if not name.startswith("held_out")]
    found += _spread(steps)
    found += _named("seconds", "speed", "s", "seconds of this phase", {s.step: s.ended.seconds_by for s in steps})
    found += _named("calls", "curation", "calls", "calls, valid or not", {s.step: s.ended.calls for s in steps})
    found += _held_out(steps)
    groups = list(dict.fromkeys(metric.group for metric in METRICS.values()))
    found.sort(key=lambda curve: groups.index(curve.group))
    return {curve.name: curve for curve in found if curve.points}


def together(name: str, curves: Mapping[str, Curve]) -> list[str]:
    """The names of the measured curves that are shown for a name of `TOGETHER`, or for that of a curve."""
    wanted = TOGETHER[name].names if name in TOGETHER else (name,)
    found = [
        each
        for pattern in wanted
        for each in curves
        if each == pattern or (pattern.endswith(".") and each.startswith(pattern))
    ]
    return [each for each in found if any(value is not None for value in curves[each].points.values())]


def _metric(name: str, values: Mapping[int, Mapping[str, Value]]) -> Curve:
    metric = METRICS[name]
    return Curve(
        name, metric.group, metric.unit, metric.meaning, {step: _number(found[name]) for step, found in values.items()}
    )


def _number(value: Value) -> float | None:
    return None if value is None else float(value)


def _spread(steps: Sequence[StepMetrics]) -> Iterator[Curve]:
    """The least and the greatest standard deviation of r inside a group, from the advantages of the update."""
    spreads = {step.step: group_spreads(step.update.advantages if step.update else ()) for step in steps}
    for name, of, which in (("spread_least", min, "least"), ("spread_most", max, "greatest")):
        points = {
            step: of(known) if (known := [value for value in found if value is not None]) else None
            for step, found in spreads.items()
        }
        yield Curve(name, "reward", "", f"the {which} standard deviation of r inside a group", points)


def group_spreads(advantages: Sequence[Sequence[float | None]]) -> list[float | None]:
    """The standard deviation of r inside each group, from the advantages r - mean(r); None below two measured rollouts."""
    measured = [[value for value in group if value is not None] for group in advantages]
    return [math.sqrt(fmean(value * value for value in group)) if len(group) > 1 else None for group in measured]


def _named(
    prefix: str, group: str, unit: str, meaning: str, values: Mapping[int, Mapping[str, float]]
) -> Iterator[Curve]:
    """A curve for each name; a step that does not have the name, among others that it has, is 0 of it."""
    for name in dict.fromkeys(name for found in values.values() for name in found):
        points = {step: float(found.get(name, 0)) if found else None for step, found in values.items()}
        yield Curve(f"{prefix}.{name}", group, unit, f"{name}: {meaning}", points)


def _held_out(steps: Sequence[StepMetrics]) -> Iterator[Curve]:
    """The held-out measurements, only at the steps after which there was one; 0 is the untrained curator."""
    measured = {step.step: step.held_out for step in steps if step.held_out}
    if steps and (first := steps[0].untrained):
        measured = {0: first, **measured}
    for name in (name for name in METRICS if name.startswith("held_out")):
        metric = METRICS[name]
        points = {
            step: _number(metric.read(msgspec.structs.replace(steps[0], held_out=event)))
            for step, event in measured.items()
        }
        yield Curve(name, metric.group, metric.unit, metric.meaning, points)


def shown(unit: str, value: float | None) -> str:
    """A value with as many digits as a person reads; "n/m" where it was not measured."""
    if value is None:
        return "n/m"
    if unit == "share":
        return f"{value:.1%}"
    if unit in ("s", "tokens/s", "episodes/s"):
        return f"{value:,.1f}"
    if value == int(value) and unit:
        return f"{int(value):,}"
    if unit and unit != "nats":
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
    return f"{value:.3f}" if 0.001 <= abs(value) < 1000 or not value else f"{value:.2e}"
