"""What a checkpoint holds, written and read: weights, optimiser, random states, and the step.

    write(folder, network, optimizer, step)
    step = read(folder, network, optimizer)          # raises `RunError` for a checkpoint that does not fit

The learning rate is no state (`schedule`). Checkpoints that TRL's trainer wrote have the same files, and are read.
"""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy
import torch
from numpy._core.multiarray import _reconstruct
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from engine.core.errors import ConfigError
from engine.core.files import remedy
from engine.models.adapters import FULL, is_full, weights_in
from engine.models.local.weights import put_all, uses_gpu
from engine.runs.errors import RunError, WriteFailed
from engine.training import checkpoints as saved

OPTIMIZER, RANDOM, STATE = "optimizer.pt", "rng_state.pth", "trainer_state.json"
NUMPY: tuple[Any, ...] = (_reconstruct, numpy.ndarray, numpy.dtype, type(numpy.dtype("uint32")))
"""What TRL's trainer pickled in its random states."""


class State(msgspec.Struct, frozen=True):
    """trainer_state.json: how many updates the weights have had. TRL's has more fields."""

    global_step: int


def write(folder: Path, network: Any, optimizer: Any, step: int) -> None:
    """Write the checkpoint of `step` into a new folder. Raises `WriteFailed`, also where the folder of the run is gone.

    Only errors of writing files become `WriteFailed`: OSError and safetensors' error.
    """
    run = folder.parent.parent.parent
    if not run.is_dir():
        raise WriteFailed(f"the checkpoint of step {step} cannot be written: {run} is gone")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if hasattr(network, "peft_config"):
            network.save_pretrained(str(folder), save_embedding_layers=False)
        else:
            weights = {name: value.detach().cpu().contiguous() for name, value in network.named_parameters()}
            save_file(weights, folder / FULL, metadata={"format": "pt"})
        _save(optimizer.state_dict(), folder / OPTIMIZER)
        _save(random_states(), folder / RANDOM)
        (folder / STATE).write_bytes(msgspec.json.encode(State(step)))
    except (OSError, SafetensorError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise WriteFailed(
            f"the checkpoint of step {step} cannot be written to {folder}: {why}; {remedy(error)} and resume. "
            "The checkpoints before it are safe"
        ) from error


class _File(io.BufferedWriter):
    """A file that keeps the error of a write that failed."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.error = error
            raise


def _save(value: Any, path: Path) -> None:
    """`torch.save` into a file of Python's. Raises OSError where it cannot be written.

    A full disk is a RuntimeError of torch's writer, told from others by its text only; with a file of its own, torch 2.9
    loses the end of the content and raises nothing.
    """
    with _File(io.FileIO(path, "w")) as file:
        try:
            torch.save(value, file)
        except RuntimeError:
            if file.error is None:
                raise
            raise file.error from None


def read(folder: Path, network: Any, optimizer: Any) -> int:
    """Put a checkpoint into the network and the optimiser; its step. Raises `RunError` for one that cannot be used."""
    if fault := saved.unfit(folder):
        raise RunError(f"{folder} cannot be resumed from: {fault}")
    try:
        _put_weights(folder, network)
        optimizer.load_state_dict(torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True))
        state = msgspec.json.decode((folder / STATE).read_bytes(), type=State)
    except (RuntimeError, ValueError, KeyError, ConfigError) as error:
        why = " ".join(str(error).split())
        raise RunError(f"{folder} cannot be resumed from: it is of another model or adapter ({why})") from error
    with torch.serialization.safe_globals([*NUMPY]):
        put_random_states(torch.load(folder / RANDOM, map_location="cpu", weights_only=True))
    return state.global_step


def _put_weights(folder: Path, network: Any) -> None:
    """Raises `ValueError` or `ConfigError` where the weights are not those of such a network."""
    adapted = hasattr(network, "peft_config")
    if adapted == is_full(folder):
        raise ValueError(f"training.method={'lora' if adapted else 'full'} does not train what is in it")
    if not adapted:
        put_all(network, folder)
        return
    from peft import set_peft_model_state_dict

    found: Any = set_peft_model_state_dict(network, load_file(weights_in(folder)))
    if found.unexpected_keys:
        raise ValueError(f"the model has no {found.unexpected_keys[0]}")


def random_states() -> dict[str, Any]:
    """The states of the generators that a part without a seed of its own may draw from; those of GPUs where this process
    uses one."""
    states = {"python": random.getstate(), "cpu": torch.get_rng_state()}
    return {**states, "cuda": torch.cuda.get_rng_state_all()} if uses_gpu() else states


def put_random_states(states: dict[str, Any]) -> None:
    """Go on from `random_states`."""
    random.setstate(states["python"])
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and uses_gpu():
        torch.cuda.set_rng_state_all(states["cuda"][: torch.cuda.device_count()])
