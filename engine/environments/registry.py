"""The environments that a configuration can name, and how their task sources are opened.

    source = open_source(config.environment)
    held_out = open_held_out(config.environment, source)

An environment is one folder and one line here, or one entry point of an installed package. Cheap to import.
"""

from __future__ import annotations

from engine import config
from engine.core.registry import Registry
from engine.environments.base import EnvironmentKind, TaskSource

ENVIRONMENTS = Registry[EnvironmentKind](
    "environment",
    "skillos.environments",
    {"household": "engine.environments.household:KIND", "alfworld": "engine.environments.alfworld:KIND"},
)


def kind_of(settings: config.Environment) -> EnvironmentKind:
    """The environment that `settings` name. Raises `UnknownPart`."""
    return ENVIRONMENTS.load(settings.name)


def open_source(settings: config.Environment) -> TaskSource:
    """The task source of `settings`. Raises `TaskSourceError` where its files cannot be read."""
    return kind_of(settings).open(settings)


def open_held_out(settings: config.Environment, source: TaskSource) -> TaskSource:
    """The source of the held-out groups beside the training's `source` of the same settings.

    Raises `ConfigError` where they would be of the tasks that are trained on, and `TaskSourceError`.
    """
    return kind_of(settings).held_out(settings, source)
