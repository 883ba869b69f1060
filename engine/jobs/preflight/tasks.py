"""The tasks of a run, before it begins: how many are distinct, how many steps repeat, and whether held-out ones are trained
on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from engine.config import Config
from engine.core.records import Check
from engine.core.text import counted
from engine.environments.base import TaskSource
from engine.evaluation.held_out import held_out_groups
from engine.jobs.base import JobKind
from engine.rollouts.groups.base import Group

DRAW_SECONDS = 0.5
"""Drawing stops after so long; the message then names the steps that were drawn."""
NAMED = 4
FEW = 0.5
"""A run whose distinct tasks are less than this share of those that it plays gets a warning."""


def tasks(config: Config, job: JobKind, draws: Callable[[int], list[Group]], held_out: TaskSource) -> Check:
    """The tasks of the steps, as the run will draw them. Raises `TaskSourceError`."""
    began = time.monotonic()
    steps, drawn = 0, 0
    ids: set[str] = set()
    families: dict[str, int] = {}
    repeats, inside = 0, 0
    seen: set[tuple[str, ...]] = set()
    total = job.total(config)
    while steps < total and (not steps or time.monotonic() - began < DRAW_SECONDS):
        steps += 1
        for group in draws(steps):
            names = [task.id for task in group.tasks]
            drawn += len(names)
            ids.update(names)
            families[group.family] = families.get(group.family, 0) + 1
            repeats += tuple(names) in seen
            seen.add(tuple(names))
            inside += len(names) - len(set(names))
    if not drawn:
        return Check("tasks", "fail", "the steps have no task: look at [environment] and [grouping]")
    of = "" if steps == total else f" in the first {steps} of {total} {job.unit}s"
    parts = [f"{len(ids):,} distinct of {drawn:,}{of}, {_families(families, held_out)}"]
    doubts = []
    if len(ids) < FEW * drawn:
        doubts.append(
            f"tasks repeat, each about {drawn / len(ids):.1f} times: allow more tasks in [environment], or plan fewer "
            f"{job.unit}s"
        )
    if repeats:
        doubts.append(f"{counted(repeats, 'group')} of {len(seen) + repeats:,} repeat an earlier one")
    if inside:
        doubts.append(f"{counted(inside, 'task')} repeat another of the same group: lower training.tasks")
    if job.trains and config.training.evaluate_every:
        own = held_out_groups(held_out, config.training.tasks, config.training.evaluate_groups)
        measured = {task.id for group in own for task in group.tasks}
        both = measured & ids
        if both == measured:
            why = "every held-out task is also trained on: hold out another split ([environment])"
            return Check("tasks", "fail", f"{parts[0]}; {why}", time.monotonic() - began)
        if both:
            doubts.append(
                f"{len(both)} of {len(measured)} held-out tasks are also trained on: the result will look too good"
            )
        else:
            parts.append(f"none of the {len(measured)} held-out tasks is among them")
    return Check("tasks", "warn" if doubts else "pass", "; ".join([*parts, *doubts]), time.monotonic() - began)


def _families(drawn: Mapping[str, int], source: TaskSource) -> str:
    """How many families were drawn. Those of a finite source are named, with their groups; generated ones have numbers."""
    generated = source.families(0).keys() != source.families(1).keys()
    counts = f"{len(drawn):,} {'generated ' if generated else ''}{'family' if len(drawn) == 1 else 'families'}"
    if generated:
        return counts
    most = sorted(drawn, key=lambda family: -drawn[family])
    named = ", ".join(f"{family} {drawn[family]}" for family in most[:NAMED])
    return f"{counts} ({named}{', …' if len(most) > NAMED else ''})"
