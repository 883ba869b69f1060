"""What a section of the configuration is, and what a registered part is.

A section is a subclass of `Settings`, with a docstring under each field. A part that can be chosen (an environment, a model
backend, a judge) has a subclass of its room's base for its settings, whose tag is the part's name, and a kind:

    class MazeSettings(EnvironmentSettings, frozen=True, tag="maze"):
        size: Positive = 5
        \"\"\"Rooms along one side.\"\"\"

    KIND = EnvironmentKind(name="maze", settings=MazeSettings, open=open_source, held_out=held_out, lists_actions=True)

The section of a run's configuration then reads:

    [environment]
    kind = "maze"
    size = 9
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One section of the configuration: fields with defaults, of types that `engine.core.refusals.allowed` can describe."""

    def absolute(self) -> Self:
        """The same settings with absolute paths. A section that has paths overrides this."""
        return self


def accept(settings: Any) -> None:
    """The check of a part that has nothing to check."""


class PartKind(msgspec.Struct, frozen=True):
    """A part that a configuration can choose. The module that defines one is cheap to import: no torch, no files read.

    `settings` is a subclass of the room's base settings whose tag is `name`; every field has a default. `check(settings)`
    raises `ConfigError` for what would only fail later in the run; it takes milliseconds and imports what it needs itself.
    """

    name: str
    settings: type[Settings]
    check: Callable[[Any], None] = accept


def kind_of(settings: Settings) -> str:
    """The name of the part that `settings` are of."""
    return str(settings.__struct_config__.tag)


def absolute_path(path: str) -> str:
    """`path` as an absolute one; the empty one, and a `~` without a home, as they are."""
    try:
        return str(Path(path).expanduser().absolute()) if path else path
    except RuntimeError:
        return path
