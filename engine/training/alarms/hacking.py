"""The alarm on reward hacking: the curator learns to please a part of the reward, and its skills help less.

r_task of a step is of that step's tasks, so its course says little; the held-out r_task is of the same groups each time.
The alarm is raised where that falls and one of the other parts of the reward rises, both beyond chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean
from types import MappingProxyType

from engine.core.events import HeldOutMeasured, RewardBreakdown
from engine.training.alarms.rules import History
from engine.training.alarms.settings import AlarmsSettings
from engine.training.alarms.statistics import Slope, slope_of

PARTS: Mapping[str, tuple[str, Callable[[RewardBreakdown], float | None]]] = MappingProxyType(
    {
        "r_cnt": ("the judge's score", lambda rewards: rewards.r_cnt),
        "r_fc": ("the validity of the calls", lambda rewards: rewards.r_fc),
        "r_comp": ("the compression", lambda rewards: rewards.r_comp),
    }
)
"""The parts that a curator can raise without helping the executor."""


def reward_hacking(history: History, settings: AlarmsSettings) -> str:
    """Judge, validity or compression rises over the steps in which held-out r_task falls."""
    results = [history[0].untrained, *(step.held_out for step in history)]
    measured = [result for result in results if result is not None and result.r_task is not None]
    window = measured[-settings.trend :]
    fall = _fall(window, settings)
    if fall is None:
        return ""
    steps = [step for step in history if window[0].step <= step.step <= window[-1].step]
    rising = []
    for name, (what, read) in PARTS.items():
        points = [(step.step, value) for step in steps if (value := read(step.ended.rewards)) is not None]
        slope = slope_of([value for _, value in points], [float(step) for step, _ in points])
        if slope is not None and slope.p_rise < settings.trend_p:
            rising.append(f"{what} ({name}) rises by {_a_step(slope)}")
    if not rising:
        return ""
    falls = _a_step(Slope(-fall.slope, fall.error, fall.freedom))
    span = f"steps {window[0].step} to {window[-1].step}"
    return f"over {span} held-out r_task falls by {falls} while {', '.join(rising)}"


def _fall(window: list[HeldOutMeasured], settings: AlarmsSettings) -> Slope | None:
    """The slope of held-out r_task where it falls beyond chance and by more than its own standard errors; else None."""
    values = [result.r_task for result in window if result.r_task is not None]
    slope = slope_of(values, [float(result.step) for result in window])
    if slope is None or slope.p_fall >= settings.trend_p:
        return None
    errors = [result.standard_error for result in window if result.standard_error is not None]
    fallen = -slope.slope * (window[-1].step - window[0].step)
    return slope if not errors or fallen > fmean(errors) else None


def _a_step(slope: Slope) -> str:
    return f"{slope.slope:.4f} ± {slope.error:.4f} a step"
