"""Every setting with its type, bounds, default and documentation: the help of `skillos-engine config` and of forms.

    for section in described(load_profile("pocket")):
        section.name, section.kind, section.doc
        for setting in section.settings:
            setting.key, setting.allowed, setting.default, setting.value, setting.doc

Everything is read from the settings' own types (`settings.py` of each room), so nothing is documented twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from engine.config import OPEN, SECTIONS, Config
from engine.core.docstrings import field_docs
from engine.core.parts import Settings, kind_of
from engine.core.refusals import allowed


class Setting(msgspec.Struct, frozen=True):
    """One setting. `key` is what `--set` takes; `value` is None where the configuration has another kind of the section."""

    key: str
    allowed: str
    default: Any
    value: Any
    doc: str


class Section(msgspec.Struct, frozen=True):
    """One section, of an open one a kind of it. `chosen`: the configuration has this section of this kind."""

    name: str
    kind: str
    doc: str
    chosen: bool
    settings: list[Setting]


def described(config: Config) -> list[Section]:
    """Every section of every kind, in the order of `config.toml`, with the values that `config` has."""
    return list(_sections(config))


def _sections(config: Config) -> Iterator[Section]:
    for name, present in config.sections().items():
        if name not in OPEN:
            yield _section(name, "", SECTIONS[name], present)
            continue
        for kind in OPEN[name].parts.names():
            yield _section(name, kind, OPEN[name].part(kind).settings, present)


def _section(name: str, kind: str, settings: type[Settings], present: Settings) -> Section:
    chosen = not kind or kind_of(present) == kind
    docs, defaults = field_docs(settings), settings()
    keys = [
        Setting(
            key=f"{name}.{field.name}",
            allowed=allowed(field.type),
            default=getattr(defaults, field.name),
            value=getattr(present, field.name) if chosen else None,
            doc=docs.get(field.name, ""),
        )
        for field in msgspec.structs.fields(settings)
    ]
    return Section(name, kind, " ".join((settings.__doc__ or "").split()), chosen, keys)
