"""Which settings differ between two configurations.

for change in changes(before_toml, to_toml(config)):
    print(change)                       # "training.steps was 3 and is now 5"
with_setting(before_toml, "training.steps", "5")       # TOML
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import tomli_w

from engine.config.layers import toml
from engine.core.errors import ConfigError


def with_setting(settings: str, key: str, value: str) -> str:
    """The configuration `settings` (TOML) with the setting `key` ("training.steps") at `value`, which is JSON or TOML.

    Raises `ConfigError` where one of them cannot be read.
    """
    tables: dict[str, Any] = toml(settings, "the configuration")
    section, _, name = key.partition(".")
    table = tables.setdefault(section, {})
    if not name or not isinstance(table, dict):
        raise ConfigError(f"{key!r} is not the name of a setting, such as training.steps")
    table[name] = toml(f"value = {value}", f"the value {value!r} of {key}").get("value")
    return tomli_w.dumps(tables)


WIDTH = 80
"""A longer value is cut in a sentence."""


class Change(msgspec.Struct, frozen=True):
    """A setting that differs; its values as JSON, None where it is not set."""

    key: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"{self.key} was {_cut(self.before)} and is now {_cut(self.after)}"


def changes(before: str, after: str) -> list[Change]:
    """The settings that differ between two configurations in TOML, by name. Raises `tomllib.TOMLDecodeError`."""
    old, new = dict(_flat(tomllib.loads(before))), dict(_flat(tomllib.loads(after)))
    return [Change(key, old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)]


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The values of a table and of those in it, by dotted key."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", msgspec.json.encode(value).decode()


def _cut(value: str | None) -> str:
    if value is None:
        return "not set"
    return value if len(value) <= WIDTH else f"{value[: WIDTH - 1]}…"
