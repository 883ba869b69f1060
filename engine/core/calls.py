"""Calls of models in few bytes, as the log keeps them.

packed = pack([call, ...])          # JSON, compressed: prompts, names and settings repeat from call to call
calls = unpack(packed)              # raises `DamagedCalls`
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from engine.core.errors import SkillosError
from engine.core.records import ModelCall

LEVEL = 6
MAX_BYTES = 256 * 2**20
"""The most that is unpacked."""


class DamagedCalls(SkillosError):
    """Calls that the log keeps cannot be read."""


def pack(calls: Sequence[ModelCall]) -> bytes:
    """The calls as one piece of data."""
    return zlib.compress(msgspec.json.encode(calls), LEVEL)


def unpack(packed: bytes) -> list[ModelCall]:
    """The calls that `pack` packed. Raises `DamagedCalls`."""
    try:
        reader = zlib.decompressobj()
        data = reader.decompress(packed, MAX_BYTES)
        if not reader.eof:
            raise DamagedCalls("the calls that the log keeps are cut short, or too large")
        return msgspec.json.decode(data, type=list[ModelCall])
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedCalls(f"the calls that the log keeps cannot be read: {error}") from error
