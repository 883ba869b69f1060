"""The types that settings share. Each has its bounds in it, so that a message and the help can name them.

A setting that names a file or folder is a `UserPath`: a `~` at its start is a home folder, and a run keeps it as an absolute
path. A `PathOrName` is a path only where it begins with `~` or exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
Many = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
AtLeastTwo = Annotated[int, msgspec.Meta(ge=2)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Fraction = Annotated[float, msgspec.Meta(gt=0, le=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

Texts = Annotated[tuple[Annotated[str, msgspec.Meta(min_length=1)], ...], msgspec.Meta(extra={"lines": True})]
"""A list of texts, none of them empty, in which line breaks and tabs are allowed."""

UserPath = Annotated[str, msgspec.Meta(extra={"path": "always"})]
PathOrName = Annotated[str, msgspec.Meta(extra={"path": "perhaps"})]


def path_kind(kind: Any) -> str:
    """ "always" for `UserPath`, "perhaps" for `PathOrName`, "" for every other type of a setting."""
    return str(_extra(kind).get("path", ""))


def takes_lines(kind: Any) -> bool:
    """Whether the texts of a setting may have line breaks and tabs in them."""
    return bool(_extra(kind).get("lines"))


def _extra(kind: Any) -> Mapping[str, Any]:
    """What the type of a setting says beside its bounds."""
    found = [meta.extra for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta) and meta.extra]
    return found[0] if found else {}
