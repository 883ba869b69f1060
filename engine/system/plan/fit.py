"""Whether a run fits this machine, for the checks before and at its start.

refusal(config, job)       # a sentence where weights, caches and optimiser alone need more than there is, or one request
                           # needs more than the cache of a server; "" otherwise
doubts(config, job)        # sentences where the whole estimate does, or where the memory is in use at present
summary(config, job)       # the plan in one line
"""

from __future__ import annotations

from math import ceil
from pathlib import Path

import psutil

from engine.config import Config
from engine.jobs.base import JobKind
from engine.system.plan.machines import THIS, host_available, machine_of
from engine.system.plan.parts import Part
from engine.system.plan.planning import Plan, plan, roles_of
from engine.system.plan.serving import GIB, servings
from engine.system.plan.shapes import UnknownShape, shape_of
from engine.system.plan.text import gigabytes, one_line

LARGEST = 3
"""How many parts a message names."""


def plan_here(config: Config, job: JobKind) -> Plan:
    """The plan of a run on this machine."""
    return plan(config, machine_of(THIS, device_of(config)), job)


def device_of(config: Config) -> str:
    """The device of the curator's model, as torch names it; "cpu" for a model that is elsewhere."""
    return str(getattr(config.model_of("curator"), "device", "cpu"))


def refusal(config: Config, job: JobKind) -> str:
    """Why the run cannot fit this machine; "" where it may."""
    made = plan_here(config, job)
    if why := _small_cache(config):
        return why
    if not made.pool or made.certain <= made.pool:
        return ""
    return (
        f"the run needs at least {gigabytes(made.certain)} of memory ({_largest(made, certain=True)}), and "
        f"{made.machine.title} has {gigabytes(made.pool)}: use a smaller model, another dtype, or another machine "
        "(skillos-engine plan shows the parts)"
    )


def _small_cache(config: Config) -> str:
    """Why a server that is started has a key-value cache in which its longest request has no room; "" where it has."""
    answers = {"executor": config.executor.max_tokens, "curator": config.curator.max_tokens}
    for serving in servings(config, roles_of(config)):
        settings = config.model_of(serving.roles[0])
        if serving.place != "server" or not serving.kv_cache or str(getattr(settings, "url", "")):
            continue
        try:
            shape = shape_of(serving.weights)
        except UnknownShape:
            continue
        role = max(serving.roles, key=lambda role: answers.get(role, 0))
        needed = serving.context or answers.get(role, 0) + 1
        each = shape.kv_bytes(serving.kv_number)
        if not shape.full_attention or serving.kv_cache >= needed * each:
            continue
        section = config.model_section(serving.roles[0])
        least = ceil(needed * each / GIB * 1000) / 1000
        what = f"{section}.context={needed}" if serving.context else f"an answer of {role}.max_tokens={needed - 1}"
        return (
            f"{section}.kv_cache_gib={serving.kv_cache / GIB:g} holds {int(serving.kv_cache / each)} tokens of "
            f"{serving.name}, and {what} needs more: set {section}.kv_cache_gib={least:g} or more (one request "
            "then fits; each that runs beside it needs its own part), or lower the other"
        )
    return ""


def doubts(config: Config, job: JobKind, folder: Path | None = None) -> list[str]:
    """Why the run may fail for lack of memory, or of room on the disk of `folder`; none where it should fit."""
    made = plan_here(config, job)
    found = []
    if made.fits is False:
        found.append(
            f"the run may need about {gigabytes(made.used)} of memory ({_largest(made)}), and {made.machine.title} has "
            f"{gigabytes(made.pool)} (skillos-engine plan shows the parts)"
        )
    elif made.fits and made.machine.unified:
        free, needed = host_available(), made.used - made.machine.reserve
        if free < needed:
            found.append(
                f"the run may need about {gigabytes(needed)} of memory ({_largest(made)}), and {gigabytes(free)} are "
                "available at present: end other programs, or lower these"
            )
    if folder is not None and (room := psutil.disk_usage(str(_existing(folder))).free) < made.disk_used:
        found.append(f"the run may write {gigabytes(made.disk_used)} to {folder}, where {gigabytes(room)} are free")
    return found


def summary(config: Config, job: JobKind) -> str:
    """How much and how long, in one line."""
    return one_line(plan_here(config, job))


def _largest(made: Plan, *, certain: bool = False) -> str:
    """The largest parts, with their sizes."""
    parts: list[Part] = [part for part in made.memory if (part.device or made.machine.unified) and part.bytes]
    parts = [part for part in parts if part.certain or not certain]
    parts.sort(key=lambda part: part.bytes or 0.0, reverse=True)
    return ", ".join(f"{part.name} {gigabytes(part.bytes)}" for part in parts[:LARGEST])


def _existing(folder: Path) -> Path:
    """The nearest folder above that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
