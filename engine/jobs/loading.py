"""Loading what plays, piece by piece; `report(what)` is called before each piece, since each may take seconds.

world, held_out = load_sources(config, report)
model = load_player(config, checkpoint, report)
context = RolloutContext.open(config, world, model)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.config import Config
from engine.environments.base import TaskSource
from engine.environments.opening import open_held_out, open_source
from engine.models.local.model import LocalModel, load_base, load_curator, load_tokenizer
from engine.models.settings import local_settings
from engine.training.checkpoints import newest_first

ADAPTER = "adapter_config.json"
Report = Callable[[str], None]


def load_sources(config: Config, report: Report, *, held_out: bool) -> tuple[TaskSource, TaskSource]:
    """The world, and that of the held-out groups, which is the first where none is wanted. Raises `GamesError`."""
    report("the games")
    world = open_source(config.environment)
    return world, open_held_out(config.environment, world) if held_out else world


def load_model(config: Config, report: Report) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The base model and its tokenizer. Raises `ConfigError`."""
    model = local_settings(config.model)
    report("the tokenizer")
    tokenizer = load_tokenizer(model)
    report("the pocket model" if model.weights == "pocket" else f"the model {model.weights}")
    return load_base(model), tokenizer


def load_player(config: Config, adapter: Path | None, report: Report) -> LocalModel:
    """The model in both roles, its curator being the `adapter` of a checkpoint, or untrained. Raises `ConfigError`."""
    base, tokenizer = load_model(config, report)
    if adapter is not None:
        report(f"the adapter {adapter.name}")
    return local(config, load_curator(base, adapter), tokenizer)


def local(config: Config, model: object, tokenizer: PreTrainedTokenizerBase) -> LocalModel:
    """`model` as the configuration batches and bounds it."""
    settings = local_settings(config.model)
    return LocalModel(model, tokenizer, max_batch=settings.max_batch, context=settings.context)


def saved(checkpoints: Path) -> dict[int, Path]:
    """The checkpoints of a run that have an adapter, by step, in the order of the steps."""
    return {step: path for step, path in reversed(newest_first(checkpoints)) if (path / ADAPTER).is_file()}
