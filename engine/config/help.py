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

from engine.config import OPEN, SECTIONS, Config, has_section
from engine.core.docstrings import field_docs
from engine.core.parts import Settings, kind_of
from engine.core.refusals import allowed
from engine.jobs.registry import JOBS
from engine.review.gates.registry import GATES


class Setting(msgspec.Struct, frozen=True):
    """One setting. `key` is what `--set` takes; `value` is None where the configuration does not have the section."""

    key: str
    allowed: str
    default: Any
    value: Any
    doc: str


class Section(msgspec.Struct, frozen=True):
    """One section, of an open one a kind of it. `chosen`: the configuration has this section, of this kind; `chooser` is the
    setting that decides on it, "" where any configuration has it."""

    name: str
    kind: str
    doc: str
    chosen: bool
    settings: list[Setting]
    chooser: str = ""


def described(config: Config, *, repeated: bool = False) -> list[Section]:
    """Every section of every kind, in the order of `config.toml`, with the values that `config` has.

    A section that takes the parts of another one has its own and the chosen kind only, but with `repeated`. A part that
    cannot be used has no section: `problems` says why.
    """
    return list(_sections(config, repeated))


def problems() -> list[str]:
    """A sentence for each part of an installed package that no configuration can use."""
    of_kinds = [problem for section in OPEN.values() if not section.like for problem in section.usable()[1]]
    return [*of_kinds, *GATES.load_all()[1], *JOBS.load_all()[1]]


def _sections(config: Config, repeated: bool) -> Iterator[Section]:
    for name, fixed in SECTIONS.items():
        present = getattr(config, name)
        if name not in OPEN:
            yield _section(name, fixed, present)
            continue
        like = OPEN[name].like
        elsewhere = OPEN[like].parts.names() if like and not repeated else []
        for part in OPEN[name].usable()[0]:
            chosen = kind_of(present) == part.name
            if part.name in elsewhere and not chosen:
                continue
            yield _section(name, part.settings, present if chosen else None, kind=part.name, chooser=f"{name}.kind")
    for gate in filter(has_section, GATES.load_all()[0]):
        chosen = gate.name in config.review.gates
        yield _section(gate.name, gate.settings, config.settings_of(gate) if chosen else None, chooser="review.gates")
    for job in filter(has_section, JOBS.load_all()[0]):
        yield _section(job.name, job.settings, config.settings_of(job))


def _section(
    name: str, settings: type[Settings], present: Settings | None, *, kind: str = "", chooser: str = ""
) -> Section:
    docs, defaults = field_docs(settings), settings()
    keys = [
        Setting(
            key=f"{name}.{field.name}",
            allowed=allowed(field.type),
            default=getattr(defaults, field.name),
            value=None if present is None else getattr(present, field.name),
            doc=docs.get(field.name, ""),
        )
        for field in msgspec.structs.fields(settings)
    ]
    doc = " ".join((settings.__doc__ or "").split())
    return Section(name, kind, doc, present is not None, keys, chooser)
