"""Checks of the models' files: whether each can be loaded, is whole, and is what it was when it was made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.config import OPEN
from engine.core.errors import ConfigError
from engine.core.parts import kind_of
from engine.models.catalogue.hashes import compare
from engine.models.reading import is_whole
from engine.models.same import SameModelSettings
from engine.system.doctor.base import Check, State, Subject, ok, problem, warning
from engine.system.plan.shapes import folder_of, quantized_bytes
from engine.system.preflight import check_settings

SECTIONS = ("model", "executor_model", "judge_model")


def files(subject: Subject) -> Iterator[Check]:
    """What the backend of each model says of it, and whether its files are whole."""
    for section in SECTIONS:
        settings = getattr(subject.config, section)
        if isinstance(settings, SameModelSettings):
            continue
        name = f"model of [{section}]"
        try:
            OPEN[section].part(kind_of(settings)).check(settings)
        except ConfigError as error:
            yield problem(name, str(error))
            continue
        weights = str(getattr(settings, "weights", ""))
        broken = [path.name for path in _weights(weights) if not is_whole(path)]
        if broken:
            yield problem(name, f"not whole: {', '.join(broken)}", "download or make the model again")
        else:
            yield ok(name, f"{kind_of(settings)}: {weights or getattr(settings, 'model', '') or 'of its server'}")
        size = quantized_bytes(str(getattr(settings, "quantization", "")) or weights)
        if size is not None and size < 1:
            yield warning(
                f"precision of [{section}]", "4-bit weights save memory, not computation: prompts get no faster"
            )


def settings(subject: Subject) -> Iterator[Check]:
    """What the other parts of the configuration, and the kind of run, say of their settings."""
    for section, parts in OPEN.items():
        if section in SECTIONS:
            continue
        chosen = getattr(subject.config, section)
        try:
            parts.part(kind_of(chosen)).check(chosen)
        except ConfigError as error:
            yield problem(f"settings of [{section}]", str(error))
    try:
        check_settings(subject.config, subject.job)
    except ConfigError as error:
        yield problem(f"settings of a {subject.job.name} run", str(error))


def hashes(subject: Subject) -> Iterator[Check]:
    """The SHA-256 of every file of a model that was made here, against its manifest."""
    for section in SECTIONS:
        weights = str(getattr(getattr(subject.config, section), "weights", ""))
        name = f"hashes of [{section}]"
        try:
            folder = folder_of(weights) if weights else None
        except ConfigError as error:
            yield problem(name, str(error))
            continue
        if folder is None or weights == "pocket":  # shipped with the program
            continue
        compared = compare(folder)
        state: State = "problem" if compared.state == "fault" else compared.state
        yield Check(name, state, compared.text, compared.advice)


def _weights(weights: str) -> list[Path]:
    folder = folder_of(weights) if weights else None
    return sorted(folder.glob("*.safetensors")) if folder is not None else []
