"""How long a step and a run will take, by the plan's workload and the pace that the probes measured.

An episode has between few turns and all of them, and more calls at once are answered as fast as so few or, by a server, each
as fast as now: from these come the low and the high figure.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.config import Config
from engine.core.records import Check
from engine.jobs.base import JobKind
from engine.jobs.preflight.probing import Pace
from engine.system.plan.fit import plan_here
from engine.system.plan.planning import workload
from engine.system.plan.text import duration

FEW_TURNS = 0.25
"""The share of its turns that a quick episode takes (assumed)."""
LONG_SECONDS = 14 * 86_400.0


def pace(config: Config, job: JobKind, paces: Mapping[str, Pace], calls: int) -> Check:
    """Hours of a step and days of the run, from the low to the high figure."""
    plan = plan_here(config, job)
    steps, unit = plan.steps, plan.unit
    known = plan.pace.step_seconds
    if "executor" not in paces or "curator" not in paces:
        if known is None:
            return Check("time", "warn", f"not measured: executor or curator gave no answer ({plan.pace.unmeasured})")
        return Check(
            "time", "warn", f"about {duration(known)} a {unit}, {duration(known * steps)} in all, by arithmetic alone"
        )
    work = workload(config, trains=job.trains)
    most = float(getattr(config.environment, "max_turns", 0)) or work.turns
    low = high = 0.0
    for role, pace in paces.items():
        few = work.episodes * (FEW_TURNS * most if role == "executor" else 1.0)
        many = work.episodes * (most if role == "executor" else 1.0)
        low += few * pace.seconds / max(pace.calls, _seats(config, role, pace, calls))
        high += many * pace.seconds / pace.calls
    update = plan.pace.update_seconds
    said = []
    if job.trains:
        if update is not None:
            low, high = low + update, high + update
        elif known is None:
            said.append("not measured: the update, which comes on top of it; the first step shows it")
        evaluated = config.training.evaluate_every
        if evaluated:
            share = config.training.evaluate_groups * config.training.tasks / max(1, work.positions) / evaluated
            low, high = low * (1 + share), high * (1 + share)
    if known is not None:
        low, high = min(low, known), max(high, known)
    message = (
        f"{_span(low, high)} a {unit}, {_span(low * steps, high * steps)} for {steps:,} (by the probes' pace, with few or "
        f"all of {most:.0f} turns{' and held-out measurements' if job.trains and config.training.evaluate_every else ''})"
    )
    if low * steps > LONG_SECONDS:
        said.append(f"plan fewer {unit}s, smaller groups or fewer rollouts, or a faster server")
    return Check("time", "warn" if said else "pass", "; ".join([message, *said]))


def _seats(config: Config, role: str, pace: Pace, calls: int) -> int:
    """How many calls may be answered in the time of the probe's: a server's concurrency, as far as the run makes use of
    it."""
    concurrency = getattr(config.model_of(role), "concurrency", None)
    return pace.calls if concurrency is None else min(calls, int(concurrency))


def _span(low: float, high: float) -> str:
    """ "3 to 9 h": both in the unit that reads best."""
    first, second = duration(low), duration(high)
    if first == second:
        return second
    if first.partition(" ")[2] == second.partition(" ")[2]:
        first = first.partition(" ")[0]
    return f"{first} to {second}"
