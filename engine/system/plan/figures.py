"""The figures of figures.toml: machines, shapes of models, and measured paces.

figures().machines["spark"].bandwidth          # 273e9 bytes a second
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

import msgspec


class Machine(msgspec.Struct, frozen=True):
    """A machine. `memory` is the pool of its models in bytes, `bandwidth` in bytes a second, `flops` dense bf16 operations a
    second; `prefill` and `update` are the shares of `flops` that prompts and training reach. None is not known.

    `unified`: programs and models share the pool, of which `reserve` bytes are the operating system's. `source` says what
    kind of figures these are.
    """

    title: str
    unified: bool
    memory: float
    source: str
    bandwidth: float | None = None
    flops: float | None = None
    prefill: float = 0.5
    update: float = 0.4
    reserve: float = 0.0


class MeasuredPace(msgspec.Struct, frozen=True):
    """Seconds of one position of a small model on a CPU's core."""

    seconds: float
    source: str


class Figures(msgspec.Struct, frozen=True):
    """All of figures.toml. `gpus` maps a part of a GPU's name to the name of a machine, `models` names to shapes."""

    machines: dict[str, Machine]
    gpus: dict[str, str]
    models: dict[str, dict[str, Any]]
    paces: dict[str, MeasuredPace]


@cache
def figures() -> Figures:
    """The figures, read once."""
    text = (resources.files("engine") / "system" / "plan" / "figures.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Figures)
