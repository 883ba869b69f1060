"""The model backends that `model.kind` can name: `BACKENDS.load("local").settings`. Cheap to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.core.parts import PartKind
from engine.core.registry import Registry


def unbounded(settings: Any) -> int | None:
    """The context of a backend that does not say how long it is."""
    return None


class ModelBackend(PartKind, frozen=True):
    """A model backend. `context(settings)` is the most tokens of a prompt and its answer together; None is unknown."""

    context: Callable[[Any], int | None] = unbounded


DEFAULT = "local"
BACKENDS = Registry[ModelBackend]("model backend", "skillos.models", {"local": "engine.models.local_kind:KIND"})
