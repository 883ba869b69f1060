"""What can be read of data of which a part is damaged, or of another version of the program.

salvaged({"theme": 3, "last": "/runs/a"}, Saved)        # Saved(last="/runs/a"); None where nothing fits
"""

from __future__ import annotations

from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


def salvaged(data: object, kind: type[S]) -> S | None:
    """A struct whose fields all have defaults, made of those parts of `data` that fit; None where `data` is no mapping."""
    return cast("S | None", _fitting(data, kind))


def _fitting(data: object, kind: Any) -> object:
    """As much of `data` as is of this kind; None for nothing."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError:
        pass
    if not isinstance(data, dict):
        return None
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        kinds = get_type_hints(kind)
        parts = {name: _fitting(data[name], kinds[name]) for name in kind.__struct_fields__ if name in data}
        return kind(**{name: part for name, part in parts.items() if part is not None})
    if get_origin(kind) is dict:
        found = {key: _fitting(value, get_args(kind)[1]) for key, value in data.items() if isinstance(key, str)}
        return {key: part for key, part in found.items() if part is not None}
    return None
