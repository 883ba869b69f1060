"""The folder of a LoRA adapter, as PEFT writes it: what a trainer makes, and what a backend and its `AdapterSink` take.

is_adapter(run.checkpoints / "step-0007")
check_adapter(path)                  # raises ConfigError with one sentence where a file of it is missing or not whole
"""

from __future__ import annotations

from pathlib import Path

from engine.core.errors import ConfigError
from engine.models.reading import is_whole, json_object

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def is_adapter(folder: Path) -> bool:
    """Whether the folder is that of an adapter; its files are not read."""
    return (folder / CONFIG).is_file()


def check_adapter(folder: Path) -> None:
    """Raises `ConfigError` where the folder does not hold a whole LoRA adapter."""
    if fault := _fault_of_adapter(folder):
        raise unloadable_adapter(folder, fault)


def unloadable_adapter(folder: Path, fault: str) -> ConfigError:
    """The error for an adapter that cannot be loaded."""
    return ConfigError(f"the adapter {folder} cannot be loaded: {fault}")


def _fault_of_adapter(folder: Path) -> str:
    weights = folder / WEIGHTS
    try:
        kind = json_object(folder / CONFIG).get("peft_type")
        if kind != "LORA":
            return f"its {CONFIG} describes no LoRA adapter (peft_type is {kind!r})"
        if not weights.is_file():
            return f"it has no {weights.name}"
        return "" if is_whole(weights) else f"{weights.name} is not whole"
    except OSError as error:
        return f"{error.filename or folder} cannot be read: {error.strerror or error}"
    except ValueError as error:
        return str(error)
