"""A curate run: tasks stream over one lasting repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.core.errors import ConfigError
from engine.core.options import Option
from engine.core.parts import kind_of
from engine.curation.settings import CurateSettings
from engine.jobs.base import JobKind, Shortcut

if TYPE_CHECKING:
    from engine.config import Config


def check(config: Config) -> None:
    """Raises `ConfigError` where `curate.adapter` names no trained weights, or some that cannot be used, such as that of
    another base."""
    from engine.models.adapters import is_full
    from engine.models.registry import BACKENDS
    from engine.training.origin import refusal
    from engine.training.selection import chosen

    source = config.curate.adapter
    if not source:
        return
    backend = BACKENDS.load(kind_of(config.model_of("curator")))
    if not backend.trains:
        raise ConfigError(
            f"curate.adapter = {source!r} cannot be used: model.kind={backend.name} takes no adapters. Leave it "
            "out, or use another model.kind such as local"
        )
    folder = chosen(source).path
    if is_full(folder) and not backend.trains_all:
        raise ConfigError(
            f"curate.adapter = {source!r} cannot be used: it has all weights of a model, and model.kind={backend.name} "
            "takes adapters only. Use model.kind=local, or export it and set model.weights to that folder"
        )
    if why := refusal(folder, config):
        raise ConfigError(f"curate.adapter = {source!r}: {why}")


def pin(config: Config) -> tuple[Config, list[str]]:
    """The configuration with the one checkpoint that `curate.adapter` means now in place of a run, and which one that is:
    the run may have another best one later. Raises `ConfigError`."""
    from engine.training.selection import pinned

    source = config.curate.adapter
    if not source:
        return config, []
    adapter, sentence = pinned(source)
    curate = msgspec.structs.replace(config.curate, adapter=adapter)
    return msgspec.structs.replace(config, curate=curate), [sentence]


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
        Option(
            "--curator",
            "curate.adapter",
            "whose trained weights curate: a train run for its best, RUN@STEP, or a folder",
            path=True,
            run=True,
        ),
    ),
    check=check,
    pin=pin,
    loads="PyTorch and transformers",
    shortcut=Shortcut(
        "c",
        "Live curation",
        "Tasks come one by one and a curator edits one lasting repository; you decide on each edit. No network.",
        "pocket",
    ),
)
