"""The folder of a curator's trained weights: a LoRA adapter as PEFT writes it, or all weights of the model in `FULL`. It is
what a trainer makes, and what a backend and its `AdapterSink` take.

is_trained(run.checkpoints / "step-0007")
check_trained(path)                  # raises ConfigError with one sentence where a file of it is missing or not whole
weights_in(path)                     # the file of the adapter, or of all weights
"""

from __future__ import annotations

from pathlib import Path

from engine.core.errors import ConfigError
from engine.models.reading import is_whole, json_object

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
FULL = "model.safetensors"
"""Every weight that was trained, by its name in the model of transformers; tied weights once."""


def is_adapter(folder: Path) -> bool:
    """Whether the folder is that of an adapter; its files are not read."""
    return (folder / CONFIG).is_file()


def is_full(folder: Path) -> bool:
    """Whether the folder has all weights of a model, and no adapter; its files are not read."""
    return not is_adapter(folder) and (folder / FULL).is_file()


def is_trained(folder: Path) -> bool:
    """Whether the folder has the trained weights of a curator, of either kind; its files are not read."""
    return is_adapter(folder) or is_full(folder)


def weights_in(folder: Path) -> Path:
    """The file with the trained weights; that of the adapter where there is neither."""
    return folder / (FULL if is_full(folder) else WEIGHTS)


def check_trained(folder: Path) -> None:
    """Raises `ConfigError` where the folder holds neither a whole LoRA adapter nor all weights."""
    if not is_full(folder):
        check_adapter(folder)
    elif fault := _fault_of_file(folder / FULL):
        raise unloadable_weights(folder, fault)


def check_adapter(folder: Path) -> None:
    """Raises `ConfigError` where the folder does not hold a whole LoRA adapter."""
    if fault := _fault_of_adapter(folder):
        raise unloadable_adapter(folder, fault)


def unloadable_adapter(folder: Path, fault: str) -> ConfigError:
    """The error for an adapter that cannot be loaded."""
    return ConfigError(f"the adapter {folder} cannot be loaded: {fault}")


def unloadable_weights(folder: Path, fault: str) -> ConfigError:
    """The error for trained weights of a whole model that cannot be loaded."""
    return ConfigError(f"the trained weights {folder} cannot be loaded: {fault}")


def _fault_of_adapter(folder: Path) -> str:
    weights = folder / WEIGHTS
    try:
        kind = json_object(folder / CONFIG).get("peft_type")
        if kind != "LORA":
            return f"its {CONFIG} describes no LoRA adapter (peft_type is {kind!r})"
        return _fault_of_file(weights)
    except OSError as error:
        return f"{error.filename or folder} cannot be read: {error.strerror or error}"
    except ValueError as error:
        return str(error)


def _fault_of_file(weights: Path) -> str:
    try:
        if not weights.is_file():
            return f"it has no {weights.name}"
        return "" if is_whole(weights) else f"{weights.name} is not whole"
    except OSError as error:
        return f"{error.filename or weights} cannot be read: {error.strerror or error}"
