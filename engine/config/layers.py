"""The layers of a configuration, as they were written: a file, a text of TOML, and `--set`.

layer = read(Path("mine.toml"))
layer = set_layer(["training.steps=3", 'judge_model={kind="openai", model="m"}'], known)
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from pathlib import Path
from typing import Any

import msgspec

from engine.core.errors import ConfigError
from engine.core.refusals import elsewhere, shown

TEXTS = ("profile", "note")
"""What a configuration says at its top, outside its sections."""


class Layer(msgspec.Struct, frozen=True):
    """Some settings, as they were written, and where: "profile pocket", a file's path, "--set"."""

    where: str
    data: Mapping[str, Any]


def read(path: Path) -> Layer:
    """The layer of a TOML file. Raises `ConfigError`."""
    try:
        return Layer(str(path), toml(path.read_text(encoding="utf-8"), str(path)))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def toml(text: str, where: str) -> dict[str, Any]:
    """What a TOML text says; `where` names it in errors. Raises `ConfigError`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{where} cannot be read: its values nest too deep") from error


def set_layer(settings: Iterable[str], known: Callable[[], Mapping[str, Mapping[str, Any]]]) -> Layer:
    """The layer of `--set section.key=value`, or `section={key=value, …}`; a value that is not TOML is taken as a string.

    `known()` gives the keys of every section, for a message. Raises `ConfigError`."""
    data: dict[str, dict[str, Any]] = {}
    for setting in settings:
        path, equals, raw = setting.partition("=")
        section, dot, key = (part.strip() for part in path.strip().partition("."))
        value = _value(path, raw)
        whole = not dot and isinstance(value, dict)
        if not equals or not (key or whole):
            hint = "" if dot else elsewhere(section, known())
            raise ConfigError(
                f"--set {shown(setting)} is not of the form section.key=value, such as training.steps=3{hint}"
            )
        if section in TEXTS:
            raise ConfigError(f"--set {shown(setting)}: {section} is no section of the configuration")
        data.setdefault(section, {}).update(value if whole else {key: value})
    return Layer("--set", data)


def _value(path: str, raw: str) -> Any:
    """The value of `--set path=raw`."""
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
        return raw if isinstance(value, date | time) else value  # no setting is one, and some texts look so
    except tomllib.TOMLDecodeError:
        return raw
    except RecursionError as error:
        raise ConfigError(f"--set {path.strip()}: the value nests too deep to be read") from error
