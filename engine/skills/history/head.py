"""The newest commit of a folder, as a mark that changes with it: whoever commits, checks out or resets there.

    head_mark(root) != before

Two small files are read, since a commit of what is on the disk already changes no other file of the folder. Imports no git
library.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

OWN = ".git"
FOLDER = ".skillos"
APART = f"{FOLDER}/history"
MAX_BYTES = 4_096

_REFERENCE = re.compile(rb"ref: (refs/[^\0\r\n]+)")


def head_mark(root: Path) -> tuple[object, ...]:
    """What is another value after the newest commit has changed, in either place that a history can have."""
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
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b"", 0
    try:
        return os.read(descriptor, MAX_BYTES), os.fstat(descriptor).st_mtime_ns
    except OSError:
        return b"", 0
    finally:
        os.close(descriptor)
