"""Reading the small files of a model, and the headers of the large ones, without torch."""

from __future__ import annotations

import json
import struct
from pathlib import Path


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
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8 or (length := struct.unpack("<Q", start)[0]) > size - 8:
            return False
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return bool(size == 8 + length + max(ends, default=0))
        except (ValueError, LookupError, TypeError, AttributeError):
            return False
