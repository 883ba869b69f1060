"""A run's figures over its steps, as curves for charts and tables.

    reader = CurveReader()
    curves = reader.read(run)                 # a second call reads and computes only what was written since
    curves["entropy"].points[12]              # None: step 12 did not measure it
    TOGETHER["parts"]                         # curves that are read together

Beside `engine.runs.metrics.METRICS` there are the spread of the rewards inside the groups ("spread_least", "spread_most"),
the seconds of each phase ("seconds.rollouts") and the curator's calls by operation ("calls.insert").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import islice
from statistics import fmean
from types import MappingProxyType

import msgspec

from engine.core.numbers import rounded
from engine.runs.directory import Run
from engine.runs.metrics import METRICS, Metric, Value
from engine.runs.telemetry import StepMetrics, Telemetry

AVERAGED = 5
"""The most steps at each end of a curve whose means its change compares."""
COURSE = 240
"""The most values of a course."""
HIGHEST = 1e150
"""Values from here on are left out: their sums and squares are not finite, and no run has them."""
LONGEST = 10
"""The most characters of a value."""


class Curve(msgspec.Struct, frozen=True, dict=True):
    """One figure over the steps at which it is due: its value, None where it was not measured. `unit` is as in `Metric`;
    `group` is the heading under which it is listed. The points are in the order of the steps."""

    name: str
    group: str
    unit: str
    meaning: str
    points: dict[int, float | None]

    @property
    def newest(self) -> float | None:
        """The value of the last step; None where that step did not measure it."""
        return self.points[next(reversed(self.points))] if self.points else None

    @cached_property
    def measured(self) -> list[float]:
        """The measured values, in the order of the steps."""
        return _known(self.points.values())

    @cached_property
    def bounds(self) -> tuple[float, float] | None:
        """The least and the greatest measured value; None without one."""
        return (min(self.measured), max(self.measured)) if self.measured else None

    @cached_property
    def change(self) -> float | None:
        """The mean of the last measured values less that of the first ones: a quarter of all, at most `AVERAGED`, at each
        end. None below two."""
        known = self.measured
        if len(known) < 2:
            return None
        ends = max(1, min(AVERAGED, len(known) // 4))
        return fmean(known[-ends:]) - fmean(known[:ends])

    @cached_property
    def course(self) -> list[float | None]:
        """The values in order, of more than `COURSE` the means of equal numbers of steps."""
        return _means(list(self.points.values()), _piece(len(self.points)))


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


class _Growing:
    """The points of a metric that gets steps at its end; what follows from the earlier ones is computed once."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._points: dict[int, float | None] = {}
        self._forget(1)

    def _forget(self, piece: int) -> None:
        self._piece = piece
        """The steps of a piece of the course."""
        self._kept = 0
        """The first so many steps, whole pieces, are in what follows."""
        self._measured: list[float] = []
        self._bounds: list[float] = []
        self._course: list[float | None] = []
        self._newest_kept: int | None = None

    def put(self, step: StepMetrics) -> None:
        """Take a step that is new, or has changed. New steps come in their order."""
        self._points[step.step] = _number(self.metric.read(step))
        if self._newest_kept is not None and step.step <= self._newest_kept:
            self._forget(self._piece)

    def curve(self) -> Curve:
        """The curve of all steps so far."""
        curve = _curve(self.metric, dict(self._points))
        values = list(self._points.values())
        if self._piece != _piece(len(values)):
            self._forget(_piece(len(values)))
        until = max(0, len(values) - 1) // self._piece * self._piece
        if until > self._kept:
            added = values[self._kept : until]
            self._measured += _known(added)
            self._bounds = _ends([*self._bounds, *_known(added)])
            self._course += _means(added, self._piece)
            self._kept, self._newest_kept = until, next(islice(self._points, until - 1, None))
        rest = values[until:]
        ends = _ends([*self._bounds, *_known(rest)])
        vars(curve).update(  # where the curve keeps what it computes once
            measured=self._measured + _known(rest),
            bounds=(ends[0], ends[-1]) if ends else None,
            course=self._course + _means(rest, self._piece),
        )
        _ = curve.change
        return curve


def _piece(steps: int) -> int:
    """How many of so many steps a value of the course is the mean of."""
    return max(1, -(-steps // COURSE))


def _means(values: list[float | None], size: int) -> list[float | None]:
    """The means of the measured ones of each `size` values."""
    if size == 1:
        return values
    pieces = (_known(values[at : at + size]) for at in range(0, len(values), size))
    return [fmean(piece) if piece else None for piece in pieces]


def _ends(values: Sequence[float]) -> list[float]:
    """The least and the greatest value, if there is one."""
    return [min(values), max(values)] if values else []


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


class CurveReader:
    """Reads the curves of a run that grows; another run, or one whose log was replaced, is read from its beginning."""

    def __init__(self) -> None:
        self._run = ""
        self._forget()

    def _forget(self) -> None:
        self._telemetry = Telemetry()
        self._known: dict[int, StepMetrics] = {}
        """The steps that the points are made of."""
        self._about: dict[str, Metric] = dict(_METRICS)
        self._growing = [_Growing(metric) for metric in self._about.values()]

    def read(self, run: Run) -> dict[str, Curve]:
        """Every curve of the run by its name, in the order in which they are listed; those without any step are left out."""
        if run.id != self._run or run.last_id() < self._telemetry.seen:
            self._run = run.id
            self._forget()
        self._telemetry.follow(run)
        steps = self._telemetry.steps
        new = [steps[step] for step in sorted(steps) if self._known.get(step) is not steps[step]]
        undone = not self._known.keys() <= steps.keys()
        newest = max(self._known, default=0)
        late = any(step.step < newest and step.step not in self._known for step in new)
        if undone or late or any(metric.name not in self._about for step in new for metric in _named(step)):
            new = [steps[step] for step in sorted(steps)]
            self._about = {**_METRICS, **{metric.name: metric for step in new for metric in _named(step)}}
            self._growing = [_Growing(metric) for metric in self._about.values()]
        self._known = dict(steps)
        for each in self._growing:
            for step in new:
                each.put(step)
        curves = [each.curve() for each in self._growing]
        curves += _held_out([steps[step] for step in sorted(steps)])
        groups = list(dict.fromkeys(metric.group for metric in METRICS.values()))
        curves.sort(key=lambda curve: groups.index(curve.group))
        return {curve.name: curve for curve in curves if curve.points}


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


def _curve(metric: Metric, points: dict[int, float | None]) -> Curve:
    return Curve(metric.name, metric.group, metric.unit, metric.meaning, points)


def _number(value: Value) -> float | None:
    return float(value) if value is not None and abs(value) < HIGHEST else None


def _spread(step: StepMetrics, of: Callable[[list[float]], float]) -> float | None:
    """The least or the greatest standard deviation of r inside a group, from the advantages of the update."""
    found = [value for value in group_spreads(step.update.advantages if step.update else ()) if value is not None]
    return of(found) if found else None


def group_spreads(advantages: Sequence[Sequence[float | None]]) -> list[float | None]:
    """The standard deviation of r inside each group, from the advantages r - mean(r); None below two measured rollouts."""
    measured = [[value for value in group if value is not None] for group in advantages]
    return [math.sqrt(fmean(value * value for value in group)) if len(group) > 1 else None for group in measured]


_METRICS = MappingProxyType(
    {metric.name: metric for metric in METRICS.values() if not metric.name.startswith("held_out")}
    | {
        f"spread_{name}": Metric(
            f"spread_{name}",
            "reward",
            "",
            f"the {which} standard deviation of r inside a group",
            partial(_spread, of=of),
        )
        for name, which, of in (("least", "least", min), ("most", "greatest", max))
    }
)


def _named(step: StepMetrics) -> Iterator[Metric]:
    """What has a name of its own: the seconds of a phase, the calls of an operation."""
    for name in step.ended.seconds_by:
        read = partial(_of_name, name, lambda step: step.ended.seconds_by)
        yield Metric(f"seconds.{name}", "speed", "s", f"{name}: seconds of this phase", read)
    for name in step.ended.calls:
        read = partial(_of_name, name, lambda step: step.ended.calls)
        yield Metric(f"calls.{name}", "curation", "calls", f"{name}: calls, valid or not", read)


def _of_name(name: str, among: Callable[[StepMetrics], Mapping[str, float]], step: StepMetrics) -> float | None:
    """A step that does not have the name, among others that it has, is 0 of it."""
    found = among(step)
    return found.get(name, 0) if found else None


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
        yield _curve(metric, points)


def shown(unit: str, value: float | None) -> str:
    """A value with as many digits as a person reads; "n/m" where it was not measured. Only 0 is shown as 0."""
    if value is None:
        return "n/m"
    text = _rounded(unit, value)
    if len(text) <= LONGEST and (not value or set(text) & set("123456789")):
        return text
    many, sign = (value * 100, "%") if unit == "share" else (value, "")
    return f"{many:.2g}{sign}" if abs(value) < 1 else f"{many:.1e}{sign}"


def _rounded(unit: str, value: float) -> str:
    if unit == "share":
        return rounded(value, ".1%")
    if unit in ("s", "tokens/s", "episodes/s"):
        return f"{value:,.1f}"
    if value == int(value) and unit:
        return f"{int(value):,}"
    if unit and unit != "nats":
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
    return rounded(value, ".3f") if 0.001 <= abs(value) < 1000 or not value else f"{value:.2e}"
