"""The kinds of run: `JOBS.load("train").unit`. Cheap to import; what does the work is loaded by the engine alone."""

from __future__ import annotations

from engine.core.registry import Registry
from engine.jobs.base import JobKind

JOBS = Registry[JobKind](
    "kind of run", "skillos.jobs", {"train": "engine.jobs.train:KIND", "curate": "engine.jobs.curate:KIND"}
)
