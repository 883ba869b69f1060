"""What a section of the configuration is, and what a registered part is.

A section is a subclass of `Settings`, with a docstring under each field. A part that a section's `kind` chooses (an
environment, a model backend, a judge) has a subclass of its room's base for its settings, whose tag is the part's name, and
a kind:

    class MazeSettings(EnvironmentSettings, frozen=True, tag="maze"):
        size: Positive = 5
        \"\"\"Rooms along one side.\"\"\"

    KIND = EnvironmentKind(name="maze", settings=MazeSettings, open=open_source, held_out=held_out, lists_actions=True)

The section of a run's configuration then reads:

    [environment]
    kind = "maze"
    size = 9

A gate's settings, and those of a kind of run, have no tag. They are a section of the part's own name: `[short]`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec

from engine.core.fields import path_kind
from engine.core.options import Option
from engine.core.paths import user_path
from engine.core.refusals import allowed

NAME = re.compile(r"[A-Za-z0-9_-]+")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One section of the configuration: fields with defaults, of types that `engine.core.refusals.allowed` can describe.

    A field that names a file or folder is of the type `engine.core.fields.UserPath`.
    """

    def absolute(self) -> Self:
        """The same settings with absolute paths: each `UserPath`, and each `PathOrName` that exists."""
        kinds = {field.name: path_kind(field.type) for field in msgspec.structs.fields(self)}
        paths = {name: absolute_path(getattr(self, name)) for name, kind in kinds.items() if kind}
        kept = {name: path for name, path in paths.items() if kinds[name] == "always" or Path(path).exists()}
        return msgspec.structs.replace(self, **kept) if kept else self


def accept(settings: Any) -> None:
    """The check of a part that has nothing to check."""


class PartKind(msgspec.Struct, frozen=True):
    """A part that a configuration can choose. The module that defines one is cheap to import: no torch, no files read.

    `settings` is a subclass of `Settings`; every field has a default. Where a section's `kind` chooses the part, it is a
    subclass of the room's base settings and its tag is `name`. `check(settings)` raises
    `ConfigError` for what would only fail later in the run; it takes milliseconds and imports what it needs itself.
    """

    name: str
    settings: type[Settings]
    check: Callable[[Any], None] = accept


def fault_of(part: object, kind: type, name: str) -> str:
    """Why an object that a package declares as a part of `kind` called `name` cannot be one; "" where it can.

    Raises what the types of its settings raise when they are read.
    """
    if not isinstance(part, kind):
        return f"it is of the type {type(part).__name__}, not {kind.__name__}"
    own = getattr(part, "name", None)
    if own != name:
        return f"it is declared as {name!r} and calls itself {own!r}"
    if not NAME.fullmatch(name):
        return "a name has letters, digits, - and _ only"
    if not all(isinstance(option, Option) for option in getattr(part, "options", ())):
        return "its options are not all an Option"
    return _fault_of_settings(part.settings) if isinstance(part, PartKind) else ""


def _fault_of_settings(settings: object) -> str:
    if not isinstance(settings, type) or not issubclass(settings, Settings):
        return "its settings are no subclass of engine.core.parts.Settings"
    for field in msgspec.structs.fields(settings):
        if field.required:
            return f"its setting {field.name} has no default"
        allowed(field.type)
    settings()
    return ""


def kind_of(settings: Settings) -> str:
    """The name of the part that `settings` are of."""
    return str(settings.__struct_config__.tag)


def absolute_path(path: str) -> str:
    """`path` as an absolute one; the empty one as it is. Raises `BadPath`."""
    return str(user_path(path).absolute()) if path else path
