"""Checkpoints: trained weights, optimiser, schedule and random states of a step, complete or absent.

    checkpoints/step-0007/…

    step, path = checkpoints.latest(run.checkpoints)         # the newest that can be trained from
    checkpoints.damaged(run.checkpoints)                     # why newer ones are skipped
    checkpoints.sweep(run.checkpoints)                       # what a killed engine left half written

A checkpoint is written under a temporary name. It gets its final name when it is complete and all its numbers are finite
(`method.md`, lesson 13). Later damage is found by reading its files.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from engine.core.files import publish, remedy, sync
from engine.models.adapters import weights_in
from engine.runs.errors import RunError, WriteFailed
from engine.runs.kept import newest_first as newest_first
from engine.training import origin

PARTIAL = ".partial"
REPLACED = ".replaced-"
NEEDED = ("optimizer.pt", "rng_state.pth", "trainer_state.json")
"""The files that training continues from beside the trained weights (`engine.models.adapters`)."""
UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    SafetensorError,
)
"""What safetensors, zipfile and torch raise for a damaged file."""


class UnfitCheckpoint(RunError):
    """A checkpoint that holds NaN or infinite numbers, or that cannot be read back: it is not kept."""


def keep(written: Path, checkpoints: Path, step: int, made_from: origin.Origin | None = None) -> Path:
    """Move the finished folder `written` to its name under `checkpoints`, and flush it to the disk; its path there.

    `made_from` is written into it first. An older checkpoint of the same step is removed after the new one is in place.
    Raises `WriteFailed`, and `UnfitCheckpoint` for one that training cannot continue from.
    """
    if fault := fault_of(written):
        raise UnfitCheckpoint(f"the checkpoint of step {step} is not kept: {fault}. The checkpoints before it are safe")
    final = checkpoints / f"step-{step:04d}"
    try:
        if made_from is not None:
            origin.write(written, made_from, step)
        sync(written)
        if final.exists():
            final.rename(checkpoints / f"{REPLACED}{step:04d}-{os.getpid()}")
        publish(written, final)
    except OSError as error:
        raise WriteFailed(
            f"the checkpoint of step {step} cannot be kept in {checkpoints}: {error.strerror}; {remedy(error)} and resume. "
            "The checkpoints before it are safe"
        ) from error
    for replaced in checkpoints.glob(f"{REPLACED}{step:04d}-*"):
        shutil.rmtree(replaced, ignore_errors=True)  # a rest costs space only
    return final


def sweep(checkpoints: Path) -> None:
    """Remove what an engine that was killed left unfinished, before the next one writes. What cannot be removed stays, and
    is never taken for a checkpoint."""
    for rest in (*checkpoints.glob(f"{REPLACED}*"), *(checkpoints / PARTIAL).glob("*")):
        if rest.is_dir():
            shutil.rmtree(rest, ignore_errors=True)


def unfit(checkpoint: Path) -> str:
    """Why training cannot continue from it: a file that it lacks, or one that is damaged; "" where it can. Reads whole
    files."""
    if missing := lacking(checkpoint):
        return f"{checkpoint} lacks {', '.join(missing)}"
    return fault_of(checkpoint)


def latest(checkpoints: Path) -> tuple[int, Path] | None:
    """The newest checkpoint that can be trained from and its step, or None. Reads whole files, and imports torch for it."""
    return next(((step, path) for step, path in newest_first(checkpoints) if not unfit(path)), None)


def damaged(checkpoints: Path) -> list[str]:
    """Why each checkpoint newer than the `latest` one is skipped; a sentence each."""
    sentences = []
    for step, path in newest_first(checkpoints):
        if not (fault := unfit(path)):
            break
        sentences.append(f"the checkpoint of step {step} is skipped: {fault}")
    return sentences


def fault_of(checkpoint: Path) -> str:
    """Why a checkpoint cannot be used: a file that cannot be read or is not what was written, or a number that is not
    finite; "" where nothing is."""
    for path in sorted(checkpoint.glob("*")):
        try:
            finite = all(bool(tensor.isfinite().all()) for tensor in _tensors(path))
        except UNREADABLE as error:
            return f"{path} is damaged: {' '.join(str(error).split()) or type(error).__name__}"
        if not finite:
            return f"{path} holds numbers that are not finite (NaN or infinite)"
    try:
        return origin.altered(checkpoint)
    except OSError as error:
        return f"{error.filename} cannot be read: {error.strerror}"


def _tensors(path: Path) -> Iterator[Any]:
    """The tensors that training continues from: the trained weights' and the optimiser's. Raises one of `UNREADABLE`."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        yield from load_file(path).values()
    elif path.suffix == ".json":
        json.loads(path.read_bytes())
    elif path.suffix in origin.CHECKED:
        with zipfile.ZipFile(path) as archive:
            if (broken := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"{broken} in it is not what was written")
        if path.name == "optimizer.pt":
            import torch

            yield from _tensors_in(torch.load(path, map_location="cpu", weights_only=True))


def _tensors_in(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _tensors_in(item)
    elif hasattr(value, "isfinite"):
        yield value


def lacking(checkpoint: Path) -> list[str]:
    """The files that the checkpoint does not have and that training needs to continue."""
    return [name for name in (weights_in(checkpoint).name, *NEEDED) if not (checkpoint / name).is_file()]


def size_of(checkpoint: Path) -> int:
    """Bytes on disk."""
    return sum(file.stat().st_size for file in checkpoint.rglob("*") if file.is_file())
