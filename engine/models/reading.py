"""Reading the small files of a model, and the headers of the large ones, without torch."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

WHOLE_NUMBERS = ("F64", "F32", "F16", "BF16")
"""Types of tensors in which one element is one parameter."""


def json_object(path: Path) -> dict[str, object]:
    """A JSON object in a file. Raises `ValueError` for anything else, and `OSError`."""
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not JSON") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return value


def is_whole(path: Path) -> bool:
    """Whether a file of safetensors is as long as its header says: 8 bytes of length, JSON, then the tensors."""
    try:
        header, start = _header(path)
        ends = [entry["data_offsets"][1] for entry in header.values()]
        return bool(path.stat().st_size == start + max(ends, default=0))
    except (ValueError, LookupError, TypeError, AttributeError):
        return False


def numbers_in(path: Path) -> int | None:
    """How many numbers a file of safetensors holds, by its header; None where some are quantized or it cannot be read as
    one. Raises `OSError`."""
    try:
        header, _ = _header(path)
        if any(entry["dtype"] not in WHOLE_NUMBERS for entry in header.values()):
            return None
        return sum(int(math.prod(entry["shape"])) for entry in header.values())
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in a file of safetensors, by its header. Raises `ValueError` and `OSError`."""
    header, _ = _header(path)
    try:
        return {name: tuple(map(int, entry["shape"])) for name, entry in header.items()}
    except (LookupError, TypeError) as error:
        raise ValueError(f"{path.name} has a header without shapes") from error


def _header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """The tensors of a safetensors file by name, and where their numbers begin. Raises `ValueError` and `OSError`."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8 or (length := struct.unpack("<Q", start)[0]) > size - 8:
            raise ValueError(f"{path.name} ends inside its header")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length
