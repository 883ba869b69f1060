"""A train run: GRPO steps, each saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.core.errors import ConfigError
from engine.core.options import Option
from engine.core.parts import kind_of
from engine.curation.registry import strategy_kind
from engine.environments.registry import environment_kind
from engine.jobs.base import JobKind, Shortcut, StartedRun
from engine.training.schedule import schedule_depends_on_steps
from engine.training.settings import TrainingSettings, rows_of_step

if TYPE_CHECKING:
    from engine.config import Config

MAX_SAMPLES = 1_000_000
"""The most samples of a step."""


def check(config: Config) -> None:
    """Raises `ConfigError` for a strategy without anything to train, a step of too many samples, and held-out groups that
    are trained on."""
    samples = strategy_kind(config.strategy).samples_per_position
    if not samples:
        raise ConfigError(
            f"strategy.kind={kind_of(config.strategy)} makes no completions that can be trained: a train run needs another "
            "strategy, such as strategy.kind=skillos"
        )
    _check_size(config.training, samples)
    if config.training.evaluate_every:
        environment_kind(config.environment).check_held_out(config.environment)


def _check_size(training: TrainingSettings, samples: int) -> None:
    rows = rows_of_step(training, samples)
    if rows > MAX_SAMPLES:
        factors = f"{training.groups} groups × {training.rollouts} rollouts × {training.tasks} tasks"
        if samples > 1:
            factors += f" × {samples} samples of the strategy at each"
        raise ConfigError(f"a step would have {rows} samples ({factors}); {MAX_SAMPLES} is the most")


def fixed(config: Config) -> str:
    """Why the number of steps cannot be changed in a run that has begun: the learning rates of its steps depend on it."""
    training = config.training
    if not schedule_depends_on_steps(training):
        return ""
    return f"training.schedule={training.schedule} makes the learning rates of the steps that were made depend on it"


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
    draws="engine.jobs.train.run:draws",
    probed=True,
    about="train a curator",
    options=(Option("--steps", "training.steps", "GRPO steps"),),
    check=check,
    loads="PyTorch and transformers",
    shortcut=Shortcut(
        "t",
        "Train the pocket model",
        "A curator learns by GRPO on groups of related tasks; takes this CPU for about 7 s a step. No network.",
        "pocket",
    ),
    resume_at=resume_at,
    fixed=fixed,
)
