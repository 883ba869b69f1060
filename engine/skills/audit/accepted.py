"""Findings that a person accepted: by the skill's name, the rule, and the SHA-256 of the file's content.

    wanted = Acceptance.parse("find-mugs:fetch-and-run:1f2e3d4c5b6a")      # a prefix of the hash is enough to ask
    known = accepted_in(root)                                              # the full hashes, from the commits' trailers
    found = marked(found, "find-mugs", known)

An acceptance is a trailer of a commit in the repository. It holds for this content only: a changed file is blocked again.
It counts only with this user's seal (`engine.core.seals`): a repository that was cloned can bring commits which say that all
of its findings were accepted. Such a claim is shown, with the commit, and the finding stays open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from engine.core.errors import SkillosError
from engine.core.seals import is_sealed, seal
from engine.skills.audit.files import Located
from engine.skills.history.history import Commit, History

SHORT = 12
TRAILER = "Accepted"
SEAL = "Accepted-Seal"
MIN_HASH = 8
FULL = 64
"""Hexadecimal digits of a whole SHA-256."""

_FORM = re.compile(r"(?P<skill>[^:\s]+):(?P<rule>[a-z0-9-]+):(?P<content>[0-9a-f]+)")


class NotAnAcceptance(SkillosError):
    """A text does not name a finding. The message says the right form."""


class CannotSeal(SkillosError):
    """An acceptance cannot be recorded as this user's. The message says why."""


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


class Known(NamedTuple):
    """What the commits of a repository say was accepted: by this user (`own`: who), or by others (`claimed`: who, where)."""

    own: dict[Acceptance, str]
    claimed: dict[Acceptance, str]


NOTHING = Known({}, {})


def accepted_in(root: Path) -> Known:
    """What was accepted in the history of `root`. Raises `HistoryError`."""
    history = History.existing(root)
    known = Known({}, {})
    for commit in history.log(limit=10**9) if history else ():
        made = [
            Acceptance(**match.groupdict())
            for key, value in commit.trailers.items()
            if key.startswith(TRAILER) and (match := _FORM.fullmatch(value))
        ]
        who = commit.trailers.get("Reviewer") or "somebody"
        if made and _is_own(commit, made):
            known.own.update((each, who) for each in made if each not in known.own)
        else:
            where = f"{who} in commit {commit.id[:10]}"
            known.claimed.update((each, where) for each in made if each not in known.claimed)
    return known


def trailers_of(accepted: Iterable[Acceptance]) -> dict[str, str]:
    """The trailers of the commit that records these acceptances, with the seal. Raises `CannotSeal`."""
    made = sorted(set(accepted))
    if not made:
        return {}
    try:
        digest = seal(_content(made), TRAILER)
    except OSError as error:
        why = f"{error.strerror or error} ({error.filename})"
        raise CannotSeal(
            f"nothing was accepted, because the key that marks your decisions cannot be used: {why}"
        ) from error
    return {**{f"{TRAILER}-{number}": str(each) for number, each in enumerate(made, start=1)}, SEAL: digest.hex()}


def _is_own(commit: Commit, made: Iterable[Acceptance]) -> bool:
    with suppress(OSError, ValueError):
        return is_sealed(_content(made), bytes.fromhex(commit.trailers.get(SEAL, "")), TRAILER)
    return False


def _content(made: Iterable[Acceptance]) -> bytes:
    return "\n".join(map(str, sorted(made))).encode("utf-8", "surrogatepass")


def marked(found: Iterable[Located], skill: str, known: Known) -> tuple[Located, ...]:
    """The findings, those that are accepted in `known` marked with who accepted them."""
    made = []
    for each in found:
        given = Acceptance.of(skill, each)
        accepted = known.own.get(given, "") or each.accepted
        made.append(
            msgspec.structs.replace(each, accepted=accepted, claimed="" if accepted else known.claimed.get(given, ""))
        )
    return tuple(made)
