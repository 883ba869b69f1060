"""A curate run: tasks stream over one lasting repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.errors import ConfigError
from engine.core.options import Option
from engine.core.parts import kind_of
from engine.curation.settings import CurateSettings
from engine.jobs.base import JobKind, Shortcut

if TYPE_CHECKING:
    from engine.config import Config


def no_adapter(source: str) -> ConfigError:
    """The error for a `curate.adapter` where there is no adapter."""
    return ConfigError(f"curate.adapter = {source!r} is neither a checkpoint nor a train run that has one")


def check(config: Config) -> None:
    """Raises `ConfigError` where `curate.adapter` names no adapter, or one that cannot be used."""
    from engine.models.adapters import CONFIG, check_adapter, is_adapter
    from engine.models.registry import BACKENDS

    source = config.curate.adapter
    if not source:
        return
    backend = BACKENDS.load(kind_of(config.model_of("curator")))
    if not backend.trains:
        raise ConfigError(
            f"curate.adapter = {source!r} cannot be used: model.kind={backend.name} takes no adapters. Leave it "
            "out, or use another model.kind such as local"
        )
    path = Path(source)
    if is_adapter(path):
        check_adapter(path)
    elif not any(path.glob(f"checkpoints/step-*/{CONFIG}")):
        raise no_adapter(source)


KIND = JobKind(
    name="curate",
    settings=CurateSettings,
    unit="task",
    total=lambda config: config.curate.tasks,
    trains=False,
    forks=False,
    work="engine.jobs.curate.run:CurateJob",
    draws="engine.jobs.curate.run:draws",
    probed=True,
    adapter="engine.jobs.curate.run:adapter_of",
    about="curate a lasting repository, task after task",
    options=(
        Option("--tasks", "curate.tasks", "how many tasks"),
        Option("--review", "review.policy", "who decides on edits"),
        Option("--curator", "curate.adapter", "a train run or checkpoint whose adapter curates", path=True),
    ),
    check=check,
    loads="PyTorch and transformers",
    shortcut=Shortcut("c", "Live curation", "tasks stream by; you decide on each edit", "pocket"),
)
