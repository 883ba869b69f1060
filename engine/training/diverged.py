"""The error for a number that is NaN or infinite where training needs a finite one: where it appeared, and what to do.

raise diverged_in_answer("step 3, rollouts", found, config, newest_checkpoint)
raise diverged_in_update("step 3, update: the loss is nan", config, run.checkpoints)
"""

from __future__ import annotations

from pathlib import Path

from engine.config import Config
from engine.models.base import NotFinite
from engine.runs.errors import RunError
from engine.training import checkpoints


class Diverged(RunError):
    """A number that must be finite is not. The message names the step, the phase and what to do."""


def diverged_in_answer(where: str, found: NotFinite, config: Config, checkpoint: Path | None) -> Diverged:
    """For an answer of a model. `checkpoint` holds the curator's present weights; None before the first update."""
    if found.model != "curator" or checkpoint is None:
        advice = "training is not the cause, so check model.weights, or use model.dtype=float32"
    else:
        advice = f"{_lower_rate(config)}, remove {checkpoint}, from which these numbers come, and resume"
    return Diverged(f"{where}: {found}. What to do: {advice}")


def diverged_in_update(what: str, config: Config, folder: Path) -> Diverged:
    """For a loss, a gradient, a weight or the optimiser's state. `folder` holds the run's checkpoints."""
    again = "resume"
    if newest := checkpoints.latest(folder):
        again = f"resume: the run continues from step {newest[0]}, or from an earlier one if you remove {newest[1]}"
    return Diverged(f"{what}. What to do: {_lower_rate(config)} and {again}")


def _lower_rate(config: Config) -> str:
    return f"lower training.learning_rate (it is {config.training.learning_rate:g}) in the run's config.toml"
