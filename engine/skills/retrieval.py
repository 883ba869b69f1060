"""Which skills fit a task: BM25 over name, description and body.

    index = SkillIndex()
    index.insert("find-mugs", skill)
    index.search("put a hot mug in the safe", k=3)        # [("find-mugs", 0.41), ...], best first

A skill without a word of the query is no result. Ties are broken by name, so the same index always answers the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from engine.skills.skill import Skill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.skills.okapi import PositiveOkapi

_STOP_WORDS = """
a about after all also an and any are as at be been before but by can could did do does for from had has have he her his
how i if in into is it its me my no nor not of on or our she should so some such than that the their them then there
these they this those to too up was we were what when where which while who why will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The lower-cased words of `text` that are no stop words, in order."""
    return [word for word in _WORD.findall(text.lower()) if word not in STOP_WORDS]


class SkillIndex:
    """An index that follows its repository edit by edit. Statistics are computed at the first search after a change."""

    def __init__(self) -> None:
        self._words: dict[str, list[str]] = {}
        self._ranked: tuple[list[str], PositiveOkapi] | None = None

    @classmethod
    def of(cls, skills: Mapping[str, Skill]) -> Self:
        """The index of a whole repository."""
        index = cls()
        for name, skill in skills.items():
            index.insert(name, skill)
        return index

    def __len__(self) -> int:
        return len(self._words)

    def insert(self, name: str, skill: Skill) -> None:
        """Add a skill. Raises `KeyError` where the name is indexed already."""
        if name in self._words:
            raise KeyError(f"the skill {name!r} is indexed already; use update")
        self._put(name, skill)

    def update(self, name: str, skill: Skill) -> None:
        """Index the skill `name` anew. Raises `KeyError` where it is not indexed."""
        if name not in self._words:
            raise KeyError(f"the skill {name!r} is not indexed; use insert")
        self._put(name, skill)

    def delete(self, name: str) -> None:
        """Forget a skill. Raises `KeyError` where it is not indexed."""
        del self._words[name]
        self._ranked = None

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """At most `k` skills that share a word with `query`, as (name, BM25 score > 0), best first."""
        if self._ranked is None:
            self._ranked = self._rank()
        names, okapi = self._ranked
        wanted = [word for word in words(query) if word in okapi.idf]
        if k <= 0 or not wanted:
            return []
        scored = zip(names, okapi.get_scores(wanted).tolist(), strict=True)
        found = sorted(((name, score) for name, score in scored if score > 0), key=lambda pair: (-pair[1], pair[0]))
        return found[:k]

    def _put(self, name: str, skill: Skill) -> None:
        self._words[name] = words(f"{name}\n{skill.description}\n{skill.body}")
        self._ranked = None

    def _rank(self) -> tuple[list[str], PositiveOkapi]:
        from engine.skills.okapi import PositiveOkapi

        names = sorted(name for name, found in self._words.items() if found)
        return names, PositiveOkapi([self._words[name] for name in names])
