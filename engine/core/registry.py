"""Parts of one sort by name: those that ship with the engine, and those that installed packages add.

    ENVIRONMENTS = Registry(
        "environment", "skillos.environments", EnvironmentKind, {"maze": "maze.environment:KIND"}
    )
    ENVIRONMENTS.names()               # every name; imports none of the parts
    ENVIRONMENTS.load("maze")          # imports the one that is named
    parts, problems = ENVIRONMENTS.load_all()

A part that ships is one line of the mapping. A package adds a part by one line too, an entry point
(https://packaging.python.org/specifications/entry-points/) in the registry's group:

    [project.entry-points."skillos.environments"]
    maze = "maze.environment:KIND"

The entry point has the name of the part. A part that ships cannot be replaced: a package's part of the same name is ignored.
Entry points are looked up only for a name that does not ship, so that a run of shipped parts reads no package's metadata.
"""

from __future__ import annotations

import difflib
import gc
import sys
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from engine.core.errors import SkillosError
from engine.core.parts import fault_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")

HEAVY = 100
"""So many modules are imported at least where PyTorch is."""


class UnknownPart(SkillosError):
    """No part has this name, or the package that adds it is at fault. The message names the package and the entry point."""


class Registry(Generic[T]):
    """The parts of one sort. `sort` is what a message calls one ("environment"), `group` names the entry points, `kind` is
    the type of a part, `shipped` maps a name to "module:attribute"."""

    def __init__(self, sort: str, group: str, kind: type[T], shipped: Mapping[str, str]) -> None:
        self.sort = sort
        self.group = group
        self.shipped = MappingProxyType(dict(shipped))
        self._kind = kind

    def names(self) -> list[str]:
        """Every name: those that ship in their order, then those of installed packages by the alphabet."""
        return [*self.shipped, *self.added()]

    def __contains__(self, name: object) -> bool:
        return name in self.shipped or name in self.added()

    def added(self) -> list[str]:
        """The names that installed packages add, by the alphabet."""
        return sorted({entry.name for entry in self._entries()} - set(self.shipped))

    def load(self, name: str) -> T:
        """The part called `name`, imported now. Raises `UnknownPart`, also for whatever a package's import raises."""
        if name in self.shipped:
            return resolve(self.shipped[name])  # type: ignore[no-any-return]
        entries = [entry for entry in self._entries() if entry.name == name]
        if not entries:
            names = self.names()
            near = difflib.get_close_matches(name, names, n=1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise UnknownPart(
                f"there is no {self.sort} called {name!r}{meant}; there are: {', '.join(names)}. "
                f"A package adds one by an entry point in the group {self.group}"
            )
        if len({entry.value for entry in entries}) > 1:
            packages = " and ".join(sorted({f"{_package(entry)} ({entry.value})" for entry in entries}))
            raise UnknownPart(f"more than one package adds the {self.sort} {name!r}: {packages}; uninstall all but one")
        return self._import(entries[0])

    def load_all(self) -> tuple[list[T], list[str]]:
        """Every part that can be used, imported now, and a sentence for each that a package adds and that cannot be used."""
        parts, problems = [], []
        for name in self.names():
            try:
                parts.append(self.load(name))
            except UnknownPart as error:
                problems.append(str(error))
        problems += [
            f"the {self.sort} {entry.name!r} of the package {_package(entry)} is ignored: one of that name ships with the "
            "engine; the package must rename it"
            for entry in self._entries()
            if entry.name in self.shipped
        ]
        return parts, problems

    def _import(self, entry: EntryPoint) -> T:
        try:
            part = resolve(entry.value)
            fault = fault_of(part, self._kind, entry.name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a package may raise anything when it is imported
            fault = " ".join(f"{type(error).__name__}: {error}".split())
        if fault:
            raise UnknownPart(
                f"the {self.sort} {entry.name!r} of the package {_package(entry)} ({entry.value}) cannot be used: {fault}"
            )
        return part  # type: ignore[no-any-return]

    def _entries(self) -> list[EntryPoint]:
        from importlib import metadata  # 13 ms, which the first paint of the workbench does not need

        return list(metadata.entry_points(group=self.group))


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "(unknown)"


def resolve(reference: str) -> Any:
    """The object that "module:attribute" names. Raises `ImportError`, `AttributeError`, or `ValueError` for another form."""
    module, colon, attribute = reference.partition(":")
    if not colon or not module or not attribute:
        raise ValueError(f"{reference!r} is not of the form module:attribute")
    return getattr(import_module(module), attribute)


def resolve_heavy(reference: str) -> Any:
    """`resolve` for what imports PyTorch: without garbage collections, which took a sixth of the time, and nothing of these
    modules is garbage. Later collections do not look at them (`gc.freeze`)."""
    collects, before = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        return resolve(reference)
    finally:
        if len(sys.modules) - before > HEAVY:
            gc.freeze()
        if collects:
            gc.enable()
