"""Checkpoints: adapter, optimiser, schedule and random states of a step, complete or absent.

    checkpoints/step-0007/…

A checkpoint is written under a temporary name and renamed when it is whole, so one that can be read is one to trust
(`method.md`, lesson 13).
"""

from __future__ import annotations

import os
from pathlib import Path

PARTIAL = ".partial"


def settle(written: Path, checkpoints: Path, step: int) -> Path:
    """Move the finished folder `written` to its name under `checkpoints`, and make sure that it is on the disk."""
    final = checkpoints / f"step-{step:04d}"
    for file in written.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    if final.exists():
        final.rename(checkpoints / f".replaced-{step:04d}-{os.getpid()}")
    written.rename(final)
    return final


def latest(checkpoints: Path) -> tuple[int, Path] | None:
    """The newest whole checkpoint and its step, or None."""
    found = [(int(path.name.removeprefix("step-")), path) for path in checkpoints.glob("step-*") if path.is_dir()]
    return max(found, default=None)


def size_of(checkpoint: Path) -> int:
    """Bytes on disk."""
    return sum(file.stat().st_size for file in checkpoint.rglob("*") if file.is_file())
