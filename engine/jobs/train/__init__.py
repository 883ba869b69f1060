"""A train run: GRPO steps, each saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.core.errors import ConfigError
from engine.core.options import Option
from engine.core.parts import kind_of
from engine.curation.registry import strategy_kind
from engine.environments.registry import environment_kind
from engine.jobs.base import JobKind, Shortcut, StartedRun

if TYPE_CHECKING:
    from engine.config import Config


def check(config: Config) -> None:
    """Raises `ConfigError` for a strategy without anything to train, and for held-out groups that are trained on."""
    if not strategy_kind(config.strategy).samples_per_position:
        raise ConfigError(
            f"strategy.kind={kind_of(config.strategy)} makes no completions that can be trained: a train run needs another "
            "strategy, such as strategy.kind=skillos"
        )
    if config.training.evaluate_every:
        environment_kind(config.environment).check_held_out(config.environment)


def resume_at(run: StartedRun) -> int:
    """The step of the newest checkpoint that is not damaged; 0 where there is none."""
    from engine.training import checkpoints

    newest = checkpoints.latest(run.checkpoints)
    return newest[0] if newest else 0


KIND = JobKind(
    name="train",
    unit="step",
    total=lambda config: config.training.steps,
    trains=True,
    forks=True,
    work="engine.jobs.train.run:TrainJob",
    about="train a curator",
    options=(Option("--steps", "training.steps", "GRPO steps"),),
    check=check,
    loads="PyTorch and transformers",
    shortcut=Shortcut("t", "Train the pocket model", "real GRPO steps on this CPU; no network", "pocket"),
    resume_at=resume_at,
)
