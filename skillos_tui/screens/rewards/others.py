"""The curves of other runs, which are drawn over those of the open one and follow what those runs write.

reader = Others()
found = reader.look([path, other])     # in a thread: the runs that were written to since the last call
found.runs[0].curves["r"].points
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import SkillosError
from engine.runs.curves import Curve, CurveReader
from engine.runs.directory import DATABASE, Run

LOOK_SECONDS = 2.0
"""How often the drawn runs are looked at."""

Stamp = tuple[tuple[int, int] | None, ...]
"""When the files of a database were written, in ns, and their bytes; None for a file that is not there."""


class Overlaid(NamedTuple):
    """Another run, and its curves by their names."""

    path: Path
    curves: Mapping[str, Curve]


class Looked(NamedTuple):
    """The runs that have other curves than at the last look, and why a run cannot be read, "" where all can."""

    runs: Sequence[Overlaid]
    trouble: str = ""


class Others:
    """Reads runs of any folder; only what was written since the last look is read again. Used by one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[Path, CurveReader] = {}
        self._stamps: dict[Path, Stamp] = {}

    def look(self, paths: Sequence[Path], again: Sequence[Path] = ()) -> Looked:
        """Read what these runs have written since the last look, and all curves of those `again`. A run that cannot be
        read is reported once, until its files change."""
        found: list[Overlaid] = []
        troubles: list[str] = []
        for path in paths:
            stamp = _stamp(path)
            if path not in again and stamp == self._stamps.get(path):
                continue
            self._stamps[path] = stamp
            try:
                found.append(Overlaid(path, self._read(path)))
            except (SkillosError, OSError) as error:
                kept = "; its curves are those that were read last" if path in self._known else ""
                troubles.append(f"{error}{kept}")
        return Looked(found, ". ".join(troubles))

    def _read(self, path: Path) -> Mapping[str, Curve]:
        with Run.open(path) as run:
            reader = self._known.get(path) or CurveReader()
            found = reader.read(run)
            self._known[path] = reader
            return found


def _stamp(path: Path) -> Stamp:
    """When a run was written last; its database writes beside its file first."""
    found: list[tuple[int, int] | None] = []
    for name in (DATABASE, f"{DATABASE}-wal"):
        try:
            status = (path / name).stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mtime_ns, status.st_size))
    return tuple(found)
