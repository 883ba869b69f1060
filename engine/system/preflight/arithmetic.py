"""The checks that compute: settings against the published ones, memory and disk against this machine, the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil

import engine
from engine.config import Config
from engine.core.parts import kind_of
from engine.core.records import Check
from engine.core.text import counted
from engine.jobs.base import JobKind
from engine.system.memory.guard import AGAIN
from engine.system.plan.fit import existing, largest, plan_here
from engine.system.plan.machines import host_available
from engine.system.plan.planning import Plan
from engine.system.plan.text import gigabytes
from engine.system.published import compared, sentence

GIB = 2**30
SPARE = 1.2
"""A disk with less than this multiple of what the run writes gets a warning: the log's size is assumed."""


def by_arithmetic(config: Config, job: JobKind, folder: Path) -> Iterator[Check]:
    """The checks that need no model. `folder` is on the disk that the run is written to."""
    made = plan_here(config, job)
    yield from (settings(config, job, made), memory(config, made), disk(made, folder), clock())


def settings(config: Config, job: JobKind, made: Plan) -> Check:
    """Each setting that has a published value, and those that depart from it."""
    if not job.trains:
        return Check("settings", "pass", f"a {job.name} run has no published settings")
    if not compared(config):
        what = (
            "the pocket model"
            if getattr(config.model, "weights", "") == "pocket"
            else f"environment.kind={kind_of(config.environment)}"
        )
        return Check("settings", "pass", f"no settings are published for {what}")
    found = made.departures
    if not found:
        return Check("settings", "pass", "every setting is as published")
    said = "; ".join(map(sentence, found))
    return Check("settings", "warn", f"{counted(len(found), 'departure')} from the published settings: {said}")


def memory(config: Config, made: Plan) -> Check:
    """The plan's peak against the pool of this machine, what of it is available at present, and the headroom."""
    parts = f"({largest(made)}; skillos-engine plan shows the parts)"
    needs = f"the run may need about {gigabytes(made.used)}"
    if made.fits is False:
        advice = "use a smaller model, another dtype, shorter sequences, or another machine"
        return Check("memory", "fail", f"{needs} {parts}, and there are {gigabytes(made.pool)}: {advice}")
    unified = made.machine.unified
    available = float(host_available())
    needed = max(0.0, (made.used - made.machine.reserve) if unified else (made.host or 0.0))
    headroom = config.limits.headroom_gib * GIB
    if headroom and available < headroom * AGAIN:
        return Check(
            "memory",
            "fail",
            f"limits.headroom_gib={config.limits.headroom_gib:g} makes the run wait until {gigabytes(headroom * AGAIN)} are "
            f"available, and {gigabytes(available)} are at present: end other programs, or lower limits.headroom_gib",
        )
    if available < needed:
        certain = (made.certain - made.machine.reserve) if unified else 0.0
        status = "fail" if available < certain else "warn"
        message = f"{needs} {parts}, and {gigabytes(available)} are available at present: end other programs"
        return Check("memory", "fail" if status == "fail" else "warn", message)
    if headroom and available - needed < headroom:
        return Check(
            "memory",
            "warn",
            f"{needs} of the {gigabytes(available)} that are available, which leaves less than limits.headroom_gib="
            f"{config.limits.headroom_gib:g}: the run may wait for memory; end other programs, or lower it",
        )
    if made.fits is None:
        gaps = [part.name for part in made.inside if part.bytes is None]
        why = f"the size of {', '.join(gaps)} is not known" if gaps else made.machine.source
        return Check(
            "memory", "warn", f"not measured: {why}; known are {gigabytes(made.used)}, available {gigabytes(available)}"
        )
    of = f"of {gigabytes(made.pool)}, {gigabytes(available)} available at present"
    return Check("memory", "pass", f"about {gigabytes(made.used)} {of}")


def disk(made: Plan, folder: Path) -> Check:
    """What the run writes against what is free where it is written."""
    place = existing(folder)
    try:
        free = psutil.disk_usage(str(place)).free
    except OSError as error:
        return Check("disk", "warn", f"not measured: the disk of {place} cannot be asked: {error.strerror}")
    needed = made.disk_used
    writes = f"the run writes about {gigabytes(needed)} to {place}, where {gigabytes(free)} are free"
    if free < needed:
        return Check("disk", "fail", f"{writes}: free some space, name another folder with --run, or plan fewer steps")
    if gaps := [part.name for part in made.disk if part.bytes is None]:
        return Check("disk", "warn", f"not measured: the size of {', '.join(gaps)}; {writes}")
    if free < SPARE * needed:
        return Check("disk", "warn", f"{writes}, and the log's size is assumed: free some space")
    return Check("disk", "pass", f"about {gigabytes(needed)}, {gigabytes(free)} are free in {place}")


def clock() -> Check:
    """A clock that is behind the files of this program was never set: heartbeats and times in the log would be wrong."""
    made = Path(engine.__file__).stat().st_mtime
    shown = time.strftime("%Y-%m-%d %H:%M")
    if time.time() < made - 86_400:
        return Check("clock", "warn", f"it shows {shown}, before this program was installed: set the clock")
    return Check("clock", "pass", shown)
