"""The kinds of run: `JOBS.load("train").unit`. Cheap to import; only the engine's process loads what does the work.

    KIND = JobKind(name="count", unit="game", total=lambda config: 3, trains=False, forks=False, work="count:CountJob")

A package adds one by an entry point in the group `skillos.jobs`: count = "count:KIND". It is then a command of its name.
"""

from __future__ import annotations

from engine.core.registry import Registry
from engine.jobs.base import JobKind

JOBS = Registry(
    "kind of run", "skillos.jobs", JobKind, {"train": "engine.jobs.train:KIND", "curate": "engine.jobs.curate:KIND"}
)
