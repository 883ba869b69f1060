"""A curate run: tasks stream over one lasting repository."""

from __future__ import annotations

from engine.jobs.base import JobKind

KIND = JobKind(
    name="curate",
    unit="task",
    total=lambda config: config.curate.tasks,
    trains=False,
    forks=False,
    work="engine.jobs.curate.run:curate",
)
