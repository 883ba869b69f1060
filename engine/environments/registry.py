"""The environments that `environment.kind` can name, and how the task sources of a configuration are opened.

    ENVIRONMENTS.load("alfworld").settings
    source = open_source(config.environment)
    held_out = open_held_out(config.environment, source)

An environment is one folder and one line here, or one entry point of an installed package. Cheap to import.
"""

from __future__ import annotations

from engine.core.options import Option
from engine.core.parts import kind_of
from engine.core.registry import Registry, UnknownPart
from engine.environments.base import EnvironmentKind, TaskSource
from engine.environments.faults import called, fault
from engine.environments.settings import EnvironmentSettings

DEFAULT = "household"
ENVIRONMENTS = Registry(
    "environment",
    "skillos.environments",
    EnvironmentKind,
    {"household": "engine.environments.household:KIND", "alfworld": "engine.environments.alfworld:KIND"},
)


_SOURCE = ("name", "warnings", "start", "max_turns", "families", "tasks", "stream")
"""What a `TaskSource` has."""


def environment_kind(settings: EnvironmentSettings) -> EnvironmentKind:
    """The environment that `settings` are of. Raises `UnknownPart`."""
    return ENVIRONMENTS.load(kind_of(settings))


def open_source(settings: EnvironmentSettings) -> TaskSource:
    """The task source of `settings`. Raises `TaskSourceError` where its files cannot be read, and `PartFault`."""
    kind = environment_kind(settings)
    return _source(kind, "open", called(kind.name, "open", kind.open, settings))


def open_held_out(settings: EnvironmentSettings, source: TaskSource) -> TaskSource:
    """The source of the held-out groups beside the training's `source` of the same settings.

    Raises `ConfigError` where they would be of the tasks that are trained on, `TaskSourceError` and `PartFault`.
    """
    kind = environment_kind(settings)
    return _source(kind, "held_out", called(kind.name, "held_out", kind.held_out, settings, source))


def _source(kind: EnvironmentKind, function: str, source: TaskSource) -> TaskSource:
    missing = [name for name in _SOURCE if not hasattr(source, name)]
    if missing:
        raise fault(kind.name, function, f"it returned {type(source).__name__} without {', '.join(missing)}")
    return source


def short_options() -> tuple[Option, ...]:
    """The command line's short options for environments: those that each kind lists, the first of each flag.

    An installed package that cannot be imported has none; it must not keep the commands from working.
    """
    options: dict[str, Option] = {}
    for name in ENVIRONMENTS.names():
        try:
            kind = ENVIRONMENTS.load(name)
        except UnknownPart:
            continue
        for option in kind.options:
            options.setdefault(option.flag, option)
    return tuple(options.values())
