"""A section of the configuration whose `kind` names a registered part: which parts it takes, and which cannot be used.

section = OpenSection(JUDGES, "rubric", JudgeSettings)
section.part("rubric").settings
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.core.parts import PartKind, Settings
from engine.core.registry import Registry, UnknownPart


class OpenSection(msgspec.Struct, frozen=True):
    """A section whose settings are those of the part that its `kind` names, by default `default`; all extend `base`.

    `like` names another section that takes the same parts; help describes their settings there.
    """

    parts: Registry[Any]
    default: str
    base: type[Settings]
    like: str = ""

    def part(self, kind: str) -> PartKind:
        """The part called `kind`. Raises `UnknownPart`."""
        part: PartKind = self.parts.load(kind)
        if not self._fits(part):
            raise UnknownPart(self._misfit(part))
        return part

    def usable(self) -> tuple[list[PartKind], list[str]]:
        """Every part that can be used, and a sentence for each of a package that cannot."""
        parts, problems = self.parts.load_all()
        problems += [self._misfit(part) for part in parts if not self._fits(part)]
        return [part for part in parts if self._fits(part)], problems

    def _fits(self, part: PartKind) -> bool:
        return issubclass(part.settings, self.base) and part.settings.__struct_config__.tag == part.name

    def _misfit(self, part: PartKind) -> str:
        return (
            f"the {self.parts.sort} {part.name!r} cannot be used: its settings ({part.settings.__name__}) must be a "
            f'subclass of {self.base.__name__} with tag="{part.name}"'
        )
