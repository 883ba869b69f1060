"""Findings that a person accepted: by the skill's name, the rule, and the SHA-256 of the file's content.

    wanted = Acceptance.parse("find-mugs:fetch-and-run:1f2e3d4c5b6a")      # a prefix of the hash is enough to ask
    known = accepted_in(root)                                              # the full hashes, from the commits' trailers
    found = marked(found, "find-mugs", known)

An acceptance is a trailer of a commit in the repository. It holds for this content only: a changed file is blocked again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

import msgspec

from engine.core.errors import SkillosError
from engine.skills.audit.files import Located
from engine.skills.history.history import History

SHORT = 12
TRAILER = "Accepted"
MIN_HASH = 8
FULL = 64
"""Hexadecimal digits of a whole SHA-256."""

_FORM = re.compile(r"(?P<skill>[^:\s]+):(?P<rule>[a-z0-9-]+):(?P<content>[0-9a-f]+)")


class NotAnAcceptance(SkillosError):
    """A text does not name a finding. The message says the right form."""


class Acceptance(msgspec.Struct, frozen=True, order=True):
    """A rule whose findings a person accepts in a skill's file with the SHA-256 `content`, or a prefix of it."""

    skill: str
    rule: str
    content: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME:RULE:HASH`. Raises `NotAnAcceptance`."""
        match = _FORM.fullmatch(text.strip())
        if match is None or not MIN_HASH <= len(match["content"]) <= FULL:
            raise NotAnAcceptance(
                f"{text[:120]!r} does not name a finding; write NAME:RULE:HASH, with at least {MIN_HASH} digits of the hash"
            )
        return cls(**match.groupdict())

    @classmethod
    def of(cls, skill: str, found: Located) -> Self:
        """The acceptance of one finding, with the full hash."""
        return cls(skill, found.finding.rule, found.content)

    def __str__(self) -> str:
        return f"{self.skill}:{self.rule}:{self.content}"

    def short(self) -> str:
        """As a person types it."""
        return f"{self.skill}:{self.rule}:{self.content[:SHORT]}"

    def covers(self, skill: str, found: Located) -> bool:
        """Whether this names a finding in the skill `skill`."""
        return (self.skill, self.rule) == (skill, found.finding.rule) and found.content.startswith(self.content)


def accepted_in(root: Path) -> dict[Acceptance, str]:
    """What was accepted in the history of `root`, with who accepted it. Raises `HistoryError`."""
    history = History.existing(root)
    known: dict[Acceptance, str] = {}
    for commit in history.log(limit=10**9) if history else ():
        for key, value in commit.trailers.items():
            if key.startswith(TRAILER) and (match := _FORM.fullmatch(value)) and len(match["content"]) == FULL:
                known.setdefault(Acceptance(**match.groupdict()), commit.trailers.get("Reviewer") or "somebody")
    return known


def trailers_of(accepted: Iterable[Acceptance]) -> dict[str, str]:
    """The trailers of the commit that records these acceptances."""
    return {f"{TRAILER}-{number}": str(each) for number, each in enumerate(sorted(set(accepted)), start=1)}


def marked(found: Iterable[Located], skill: str, known: Mapping[Acceptance, str]) -> tuple[Located, ...]:
    """The findings, those that are accepted in `known` marked with who accepted them."""
    return tuple(
        msgspec.structs.replace(each, accepted=known.get(Acceptance.of(skill, each), "") or each.accepted)
        for each in found
    )
