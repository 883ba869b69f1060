"""Loading the parts of a run that play: tasks and models. `report(what)` is called before each part that takes seconds.

source, held_out = load_sources(config, report, held_out=True)
opened = open_models(config, checkpoint, report)
context = RolloutContext.open(config, source, opened.models)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.config import Config
from engine.environments.base import TaskSource
from engine.environments.registry import open_held_out, open_source
from engine.models import registry
from engine.models.adapters import is_adapter
from engine.models.base import Opened
from engine.training.checkpoints import newest_first

Report = Callable[[str], None]


def load_sources(config: Config, report: Report, *, held_out: bool) -> tuple[TaskSource, TaskSource]:
    """The task source, and that of the held-out groups (the same one without `held_out`). Raises `TaskSourceError`."""
    report("the games")
    source = open_source(config.environment)
    return source, open_held_out(config.environment, source) if held_out else source


def open_models(config: Config, adapter: Path | None, report: Report) -> Opened:
    """The run's models, the curator being the `adapter` of a checkpoint, or untrained. Raises `ConfigError`."""
    return registry.open_models(config.model, adapter, report)


def saved(checkpoints: Path) -> dict[int, Path]:
    """The checkpoints of a run that have an adapter, by step, in the order of the steps."""
    return {step: path for step, path in reversed(newest_first(checkpoints)) if is_adapter(path)}
