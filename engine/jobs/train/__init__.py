"""A train run: GRPO steps, each saved."""

from __future__ import annotations

from engine.config import Config
from engine.core.options import Option
from engine.environments.registry import environment_kind
from engine.jobs.base import JobKind


def check(config: Config) -> None:
    """Raises `ConfigError` where held-out groups would be of tasks that are trained on."""
    if config.training.evaluate_every:
        environment_kind(config.environment).check_held_out(config.environment)


KIND = JobKind(
    name="train",
    unit="step",
    total=lambda config: config.training.steps,
    trains=True,
    forks=True,
    work="engine.jobs.train.run:train",
    about="train a curator",
    options=(Option("--steps", "training.steps", "GRPO steps"),),
    check=check,
)
