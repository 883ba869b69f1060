"""What is known of a folder of skills, as `skillos_tui.client.skills` answers it and the Skills screen shows it.

    Names(("find-mugs",), left_out=(), pins={})

Cheap to import: the screen loads nothing of what reads, searches and writes the folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from engine.core.findings import Finding
    from engine.skills.history.commits import BlamedLine, Commit, FileChange
    from engine.skills.history.reader import Uncommitted, Version
    from engine.skills.repo.pins import Pin
    from engine.skills.repo.rule import LeftOut
    from engine.skills.search.index import Found


MAX_FOUND = 200
"""Results of a search, at most."""


class Names(msgspec.Struct, frozen=True):
    """The names of a folder's skills, sorted; what could be taken for a skill and is none; the pinned skills, and why they
    cannot be read ("" where they can); the path of each skill's file."""

    names: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    pins: Mapping[str, Pin]
    trouble: str = ""
    places: Mapping[str, str] = {}


class About(msgspec.Struct, frozen=True):
    """A skill in the list: its description, the words of its file, and how many findings checking has."""

    description: str
    words: int
    findings: int


class Page(msgspec.Struct, frozen=True):
    """A skill: the text of its file (None where the folder has none any more), what checking found, the files beside its
    own, and its versions, newest first; what was changed by hand since the newest commit. `trouble` is why there are no
    versions."""

    name: str
    text: str | None
    findings: tuple[Finding, ...]
    files: tuple[str, ...]
    versions: tuple[Version, ...]
    uncommitted: Uncommitted | None = None
    trouble: str = ""


class Described(msgspec.Struct, frozen=True):
    """Every skill in short, by name."""

    skills: Mapping[str, About]


class Results(msgspec.Struct, frozen=True):
    """What a search for `words` found, best first."""

    words: str
    found: tuple[Found, ...]


class Blamed(msgspec.Struct, frozen=True):
    """Each line of a skill's file, with the commit that first had it; `trouble` is why they are not known."""

    name: str
    lines: tuple[BlamedLine, ...]
    trouble: str = ""


class CommitLog(msgspec.Struct, frozen=True):
    """The commits of the whole folder, newest first."""

    commits: tuple[Commit, ...]


class CommitDiff(msgspec.Struct, frozen=True):
    """The files that a commit changed, or that differ since the commit `since`; `more` than these."""

    commit: str
    files: tuple[FileChange, ...]
    since: str = ""
    more: int = 0


class Done(msgspec.Struct, frozen=True):
    """What was done, as a sentence, and the commit that it made; "" where it made none."""

    text: str
    commit: str = ""
