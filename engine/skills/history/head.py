"""A mark of the newest commit of a folder: each commit, checkout and reset changes it, also one by the command git.

    head_mark(root) != before

Two small files of git are read: a commit of files that are on the disk already changes no file of a skill. This module
imports no git library.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from engine.core.files import open_regular

OWN = ".git"
"""The git directory of a folder, unless the folder is inside another repository."""
FOLDER = ".skillos"
"""What the workbench and the engine keep beside the skills of a folder."""
APART = f"{FOLDER}/history"
"""The git directory of a folder that is inside another repository."""
MAX_BYTES = 4_096
"""How much of a file is read; HEAD and references are shorter."""

_REFERENCE = re.compile(rb"ref: (refs/[^\0\r\n]+)")


def head_mark(root: Path) -> tuple[object, ...]:
    """A value that differs after the newest commit has changed, in whichever of the two places the history is."""
    return tuple(part for inside in (APART, OWN) for part in _mark(root / inside))


def _mark(git: Path) -> tuple[object, ...]:
    head, written = _read(git / "HEAD")
    found = _REFERENCE.match(head)
    if found is None or b".." in found[1]:
        return head, written
    reference = _read(git / os.fsdecode(found[1]))
    return head, written, reference if reference[0] else _read(git / "packed-refs")[1]


def _read(path: Path) -> tuple[bytes, int]:
    """The first bytes of a file and when it was written; (b"", 0) where it cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read(MAX_BYTES), os.fstat(file.fileno()).st_mtime_ns
    except (OSError, ValueError):  # a name in HEAD that no file can have is a ValueError
        return b"", 0
