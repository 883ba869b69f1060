"""Near-identical skills: many of the same three words in a row, in thousands of skills as fast as in ten.

    index = DuplicateIndex.of(repo)
    index.near(skill, 0.8, besides={"find-mugs"})          # [("find-cups", 0.91)], the most alike first
    index.insert("find-pans", skill); index.delete("find-pans")

The likeness of two skills is the Jaccard coefficient of their shingles: sets of three words in a row. Each skill is filed
under its `SKETCH` smallest shingle hashes (a bottom-k sketch: Broder 1997); only skills that share enough of those are
compared, at most `MAX_COMPARED`. A pair that is 80 % alike is missed with a chance of 3 in 100,000 (the same pair always or
never); a pair that is found is measured exactly.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Self
from zlib import crc32

from engine.skills.format.skill import Skill

SKETCH = 16
MAX_COMPARED = 50
MAX_NEAR = 5
MAX_WORDS = 20_000

_WORD = re.compile(r"\w+")


def shingles(skill: Skill) -> set[int]:
    """Hashes of every three words in a row of the skill's description and body."""
    words = _WORD.findall(f"{skill.description}\n{skill.body}".lower()[: 16 * MAX_WORDS])[:MAX_WORDS]
    if len(words) < 3:
        words = [*words, *[""] * (3 - len(words))]
    return {
        crc32(f"{a} {b} {c}".encode("utf-8", "replace")) for a, b, c in zip(words, words[1:], words[2:], strict=False)
    }


def likeness(one: Collection[int], other: Collection[int]) -> float:
    """The Jaccard coefficient of two sets, 1.0 for two empty ones."""
    union = len(set(one) | set(other))
    return len(set(one) & set(other)) / union if union else 1.0


class DuplicateIndex:
    """The sketches of many skills, by name."""

    def __init__(self) -> None:
        self._skills: dict[str, tuple[Skill, list[int]]] = {}
        self._names: dict[int, set[str]] = {}

    @classmethod
    def of(cls, skills: Mapping[str, Skill]) -> Self:
        """The index of a repository."""
        index = cls()
        index.follow(skills)
        return index

    def __len__(self) -> int:
        return len(self._skills)

    def follow(self, skills: Mapping[str, Skill]) -> None:
        """Hold just these skills; only those whose text is another one than before are read."""
        for name in self._skills.keys() - skills.keys():
            self.delete(name)
        for name in skills:
            if name not in self._skills or self._skills[name][0].text != skills[name].text:
                self.insert(name, skills[name])

    def insert(self, name: str, skill: Skill) -> None:
        """Add a skill, or replace the one of that name."""
        self.delete(name)
        sketch = heapq.nsmallest(SKETCH, shingles(skill))
        self._skills[name] = (skill, sketch)
        for mark in sketch:
            self._names.setdefault(mark, set()).add(name)

    def delete(self, name: str) -> None:
        """Forget a skill; nothing where there is none."""
        _, sketch = self._skills.pop(name, (None, []))
        for mark in sketch:
            self._names[mark].discard(name)
            if not self._names[mark]:
                del self._names[mark]

    def near(self, skill: Skill, threshold: float, besides: Collection[str] = ()) -> list[tuple[str, float]]:
        """At most `MAX_NEAR` skills at least as alike as `threshold`, the most alike first; those of `besides` left out."""
        own = shingles(skill)
        sketch = heapq.nsmallest(SKETCH, own)
        shared = Counter(name for mark in sketch for name in self._names.get(mark, ()))
        enough = max(1, int(len(sketch) * threshold / 2))
        likely = [(-count, name) for name, count in shared.items() if count >= enough and name not in besides]
        compared = [(likeness(own, shingles(self._skills[name][0])), name) for _, name in sorted(likely)[:MAX_COMPARED]]
        found = sorted((-value, name) for value, name in compared if value >= threshold)
        return [(name, -value) for value, name in found[:MAX_NEAR]]
