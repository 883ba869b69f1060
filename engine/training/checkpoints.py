"""Checkpoints: adapter, optimiser, schedule and random states of a step, complete or absent.

    checkpoints/step-0007/…

A checkpoint is written under a temporary name and renamed when it is whole, so one that can be read is one to trust
(`method.md`, lesson 13).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from engine.runs.errors import WriteFailed

PARTIAL = ".partial"


def settle(written: Path, checkpoints: Path, step: int) -> Path:
    """Move the finished folder `written` to its name under `checkpoints`, and make sure that it is on the disk.

    A checkpoint of the same step is removed once the new one is in its place, never before. Raises `WriteFailed`.
    """
    final = checkpoints / f"step-{step:04d}"
    try:
        for path in (*written.rglob("*"), written):
            _sync(path)
        if final.exists():
            final.rename(checkpoints / f".replaced-{step:04d}-{os.getpid()}")
        written.rename(final)
        _sync(checkpoints)
    except OSError as error:
        raise WriteFailed(
            f"the checkpoint of step {step} cannot be kept in {checkpoints}: {error.strerror}; free some space and resume. "
            "The checkpoints before it are safe"
        ) from error
    for replaced in checkpoints.glob(f".replaced-{step:04d}-*"):
        shutil.rmtree(replaced, ignore_errors=True)  # what cannot be removed costs space alone
    return final


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def latest(checkpoints: Path) -> tuple[int, Path] | None:
    """The newest whole checkpoint and its step, or None."""
    found = [(int(path.name.removeprefix("step-")), path) for path in checkpoints.glob("step-*") if path.is_dir()]
    return max(found, default=None)


def size_of(checkpoint: Path) -> int:
    """Bytes on disk."""
    return sum(file.stat().st_size for file in checkpoint.rglob("*") if file.is_file())
