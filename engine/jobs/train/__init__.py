"""A train run: GRPO steps, each saved."""

from __future__ import annotations

from engine.jobs.base import JobKind

KIND = JobKind(
    name="train",
    unit="step",
    total=lambda config: config.training.steps,
    trains=True,
    forks=True,
    work="engine.jobs.train.run:train",
)
