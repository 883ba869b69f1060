"""A plan as text: the table that `skillos-engine plan` prints, and the one line at the start of a run."""

from __future__ import annotations

from collections.abc import Iterator

from engine.core.text import counted
from engine.system.plan.parts import Part
from engine.system.plan.planning import Plan
from engine.system.published import sentence

DAY, HOUR, MINUTE = 86_400.0, 3_600.0, 60.0


def lines(made: Plan) -> list[str]:
    """The plan for a person."""
    return list(_lines(made))


def one_line(made: Plan) -> str:
    """How much and how long, in one line."""
    pace = made.pace
    unit = made.unit
    each = (
        f"about {duration(pace.step_seconds)} a {unit}" if pace.step_seconds is not None else f"time a {unit} not known"
    )
    whole = f", {duration(made.run_seconds)} for {made.steps:,}" if made.run_seconds is not None else ""
    pool = f" of {gigabytes(made.pool)}" if made.pool else ""
    return (
        f"plan: memory {_at_least(made.inside) or 'about'} {gigabytes(made.used)}{pool}, "
        f"disk {_at_least(made.disk) or 'about'} {gigabytes(made.disk_used)}, {each}{whole} "
        f"(skillos-engine plan shows the parts)"
    )


def duration(seconds: float | None) -> str:
    """Seconds in the unit that reads best; "unknown" for None."""
    if seconds is None:
        return "unknown"
    if seconds >= 2 * DAY:
        return f"{seconds / DAY:.1f} days"
    if seconds >= 2 * HOUR:
        return f"{seconds / HOUR:.1f} h"
    if seconds >= 2 * MINUTE:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"


def gigabytes(size: float | None) -> str:
    """Bytes in GB (10⁹), or in MB or kB where that is less than one; "unknown" for None."""
    if size is None:
        return "unknown"
    if size >= 1e9:
        return f"{size / 1e9:,.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 or not size else f"{size / 1e3:.0f} kB"


def _lines(made: Plan) -> Iterator[str]:
    yield f"{made.job} run of the profile {made.profile} on {made.machine.title}"
    yield f"  figures of the machine: {made.machine.source}"
    yield ""
    yield from _memory(made)
    yield ""
    yield from _time(made)
    yield ""
    yield "disk"
    yield from (_part(part) for part in made.disk)
    yield f"  {gigabytes(made.disk_used):>10}  in all{_gaps(made.disk)}"
    yield ""
    if made.departures:
        yield "departures from the published settings (arXiv 2605.06614)"
        yield from (f"  {sentence(departure)}" for departure in made.departures)
        yield ""
    yield "assumed"
    yield from (f"  {assumption}" for assumption in made.assumptions)
    if made.warnings:
        yield ""
        yield from (f"warning: {warning}" for warning in made.warnings)


def _memory(made: Plan) -> Iterator[str]:
    pool = "memory" if made.machine.unified else "memory of the GPU"
    yield pool
    inside = made.inside
    yield from (_part(part) for part in inside)
    yield f"  {gigabytes(made.used):>10}  in all{_gaps(inside)}{_phases(inside)}"
    if made.fits is None:
        gaps = [part.name for part in inside if part.bytes is None]
        why = f"not known: {', '.join(gaps)}" if gaps else made.machine.source
        yield f"  whether it fits is not known ({why})"
    elif made.fits:
        yield f"  it fits: {gigabytes(made.used)} of {gigabytes(made.pool)}, {gigabytes(made.pool - made.used)} are left"
    else:
        yield f"  it does not fit: {gigabytes(made.used)} are needed, and the machine has {gigabytes(made.pool)}"
    if not made.machine.unified:
        yield ""
        yield "memory of the host"
        yield from (_part(part) for part in made.memory if not part.device)
        yield f"  {gigabytes(made.host):>10}  in all"


def _at_least(parts: list[Part]) -> str:
    return "at least" if any(part.bytes is None for part in parts) else ""


def _gaps(parts: list[Part]) -> str:
    return " that is known" if any(part.bytes is None for part in parts) else ""


def _phases(parts: list[Part]) -> str:
    return "; rollouts and update alternate, the larger counts" if {part.phase for part in parts} > {"always"} else ""


def _part(part: Part) -> str:
    why = f"unmeasured ({part.unmeasured})" if part.bytes is None else part.how
    return f"  {gigabytes(part.bytes) if part.bytes is not None else '?':>10}  {part.name}: {why}"


def _time(made: Plan) -> Iterator[str]:
    pace, unit = made.pace, made.unit
    yield f"one {unit}"
    yield f"  {counted(made.positions, 'position')}, {pace.calls:,.0f} calls of models"
    update = f", {pace.trained:,.0f} in the update" if pace.trained else ""
    yield f"  {pace.decoded:,.0f} tokens of answers, {pace.prompted:,.0f} of prompts{update}"
    if pace.step_seconds is None:
        yield f"  time unmeasured ({pace.unmeasured})"
        return
    if pace.rollout_seconds is not None:
        speed = pace.decoded / pace.rollout_seconds
        seats = counted(pace.seats, "sequence")
        yield f"  rollouts {duration(pace.rollout_seconds)} ({speed:,.0f} tokens/s, {seats} at once)"
        if pace.update_seconds:
            yield f"  update {duration(pace.update_seconds)}"
    how = "computed" if pace.rollout_seconds is not None else pace.source
    hours, whole = pace.step_seconds / HOUR, made.run_seconds or 0.0
    yield f"  {duration(pace.step_seconds)} a {unit} ({hours:.2f} h), {how}"
    yield f"  {duration(whole)} for the run of {made.steps:,} {unit}s ({whole / DAY:.1f} days)"
