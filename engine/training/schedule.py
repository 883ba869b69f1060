"""The learning rate of each step. Nothing of it is state: it follows from the step's number and the settings.

rate(training, step)                       # of step 1, 2, …
schedule_depends_on_steps(training)        # whether a run of another number of steps had other rates
"""

from __future__ import annotations

import math

from engine.training.settings import TrainingSettings


def rate(training: TrainingSettings, step: int) -> float:
    """The learning rate of `step`, counted from 1. The first step has more than 0, and so has the last."""
    warmup = training.warmup_steps
    if step <= warmup:
        return training.learning_rate * step / warmup
    gone = (step - warmup - 1) / max(training.steps - warmup, 1)
    match training.schedule:
        case "constant":
            return training.learning_rate
        case "linear":
            return training.learning_rate * max(0.0, 1.0 - gone)
        case "cosine":
            return training.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(gone, 1.0)))


def schedule_depends_on_steps(training: TrainingSettings) -> bool:
    """Whether the rates depend on `training.steps`: then a run that is finished cannot be made longer."""
    return training.schedule != "constant"
