"""Parts of one sort by name: those that ship with the engine, and those that installed packages add.

    ENVIRONMENTS = Registry[EnvironmentKind](
        "environment", "skillos.environments", {"maze": "maze.environment:KIND"}
    )
    ENVIRONMENTS.names()               # every name; imports none of the parts
    ENVIRONMENTS.load("maze")          # imports the one that is named

A part that ships is one line of the mapping. A package adds a part by one line too, an entry point
(https://packaging.python.org/specifications/entry-points/) in the registry's group:

    [project.entry-points."skillos.environments"]
    maze = "maze.environment:KIND"

Entry points are looked up only for a name that does not ship, so that a run of shipped parts reads no package's metadata.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from engine.core.errors import SkillosError

T = TypeVar("T")


class UnknownPart(SkillosError):
    """No part has this name, or the package that declares it cannot be imported."""


class Registry(Generic[T]):
    """The parts of one sort. `sort` is what a message calls one ("environment"), `group` names the entry points,
    `shipped` maps a name to "module:attribute"."""

    def __init__(self, sort: str, group: str, shipped: Mapping[str, str]) -> None:
        self.sort = sort
        self.group = group
        self.shipped = MappingProxyType(dict(shipped))

    def names(self) -> list[str]:
        """Every name: those that ship in their order, then those of installed packages by the alphabet."""
        return [*self.shipped, *sorted(set(self._added()) - set(self.shipped))]

    def load(self, name: str) -> T:
        """The part called `name`, imported now. Raises `UnknownPart`."""
        reference = self.shipped.get(name) or self._added().get(name)
        if reference is None:
            names = self.names()
            near = difflib.get_close_matches(name, names, n=1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise UnknownPart(
                f"there is no {self.sort} called {name!r}{meant}; there are: {', '.join(names)}. "
                f"A package adds one by an entry point in the group {self.group}"
            )
        try:
            return resolve(reference)  # type: ignore[no-any-return]
        except (ImportError, AttributeError, ValueError) as error:
            if name in self.shipped:
                raise
            raise UnknownPart(f"the {self.sort} {name!r} ({reference}) cannot be loaded: {error}") from error

    def _added(self) -> dict[str, str]:
        from importlib import metadata  # 13 ms, which the first paint of the workbench does not need

        return {entry.name: entry.value for entry in metadata.entry_points(group=self.group)}


def resolve(reference: str) -> Any:
    """The object that "module:attribute" names. Raises `ImportError`, `AttributeError`, or `ValueError` for another form."""
    module, colon, attribute = reference.partition(":")
    if not colon or not module or not attribute:
        raise ValueError(f"{reference!r} is not of the form module:attribute")
    return getattr(import_module(module), attribute)
