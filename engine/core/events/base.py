"""The base of all events."""

from __future__ import annotations

import msgspec


def _tag(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class Event(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag=_tag):
    """The base of all events; `kind` in JSON is the class name in snake case.

    No event refers to itself, so that garbage collection need not look at the many that a workbench holds (`gc=False`).
    """
