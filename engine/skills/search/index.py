"""The search index of a repository: BM25 over the fields name, description and body, weighted 1 : 2 : 2.

    index = SkillIndex()
    index.insert("find-mugs", skill)
    index.search("put a hot mug in the safe", k=3)        # [("find-mugs", 0.41), ...], best first
    index.explain("put a hot mug in the safe", k=3)       # the same, with what each word adds in each field

    index = SkillIndex.open(repo)                         # the index of a large repository is stored in its folder
    index.sync(repo)                                      # after edits of the repository alone

Only skills that share a word with the query are results. Ties are broken by name, so the result depends on the skills and
not on the order of edits. An index belongs to one thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from engine.skills.format.skill import Skill
from engine.skills.repo.repository import SkillRepo
from engine.skills.search import saved
from engine.skills.search.inverted import InvertedField
from engine.skills.search.okapi import Field, OkapiField
from engine.skills.search.words import count_words

FIELDS = ("name", "description", "body")
WEIGHTS = (1.0, 2.0, 2.0)
SMALL = 256
MAX_QUERY_WORDS = 1_024


class Part(NamedTuple):
    """What a word of a query, as it is indexed (stemmed), adds to the score of a skill in one field."""

    word: str
    field: str
    score: float


class Found(NamedTuple):
    """A result of a search; the parts add up to its score."""

    name: str
    score: float
    parts: tuple[Part, ...]


class SkillIndex:
    """An index that is updated edit by edit.

    Up to `SMALL` skills are searched with rank-bm25. From then on an inverted index is used, even if the number falls again.
    Only the first `MAX_QUERY_WORDS` words of a query count.
    """

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._names: list[str | None] = []  # by slot; None for an empty slot
        self._digests: list[bytes] = []
        self._empty: list[int] = []
        self._fields: Sequence[Field] = [OkapiField() for _ in WEIGHTS]

    @classmethod
    def of(cls, skills: Mapping[str, Skill]) -> Self:
        """Build the index of a whole repository."""
        index = cls()
        index.sync(skills)
        return index

    @classmethod
    def open(cls, repo: SkillRepo) -> Self:
        """The index of a repository. That of more than `SMALL` skills is stored in the folder of the repository and updated
        here; if the folder cannot be written, it is built on each call.
        """
        if repo.path is None or len(repo) <= SMALL:
            return cls.of(repo)
        index = cls._saved(repo.path)
        if index.sync(repo):
            with suppress(OSError):
                saved.write(repo.path, index._state())
        return index

    def __len__(self) -> int:
        return len(self._slots)

    def insert(self, name: str, skill: Skill) -> None:
        """Add a skill. Raises `KeyError` if the name is indexed already."""
        if name in self._slots:
            raise KeyError(f"the skill {name!r} is indexed already; use update")
        self._put(name, skill)

    def update(self, name: str, skill: Skill) -> None:
        """Replace the skill `name`. Raises `KeyError` if it is not indexed."""
        if name not in self._slots:
            raise KeyError(f"the skill {name!r} is not indexed; use insert")
        self.delete(name)
        self._put(name, skill)

    def delete(self, name: str) -> None:
        """Remove a skill. Raises `KeyError` if it is not indexed."""
        slot = self._slots.pop(name)
        for field in self._fields:
            field.drop(slot)
        self._names[slot] = None
        self._digests[slot] = b""
        self._empty.append(slot)

    def sync(self, skills: Mapping[str, Skill]) -> int:
        """Make this the index of `skills`; only new and changed ones are read. Returns the number of changes."""
        stale = [name for name in self._slots if name not in skills]
        fresh = [name for name, skill in skills.items() if not self._holds(name, skill)]
        for name in stale:
            self.delete(name)
        for name in fresh:
            (self.update if name in self._slots else self.insert)(name, skills[name])
        return len(stale) + len(fresh)

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """The best `k` skills that share a word with `query`, as (name, score > 0), best first."""
        if k <= 0 or not self._slots:
            return []
        counts = count_words(query, lambda word: any(word in field for field in self._fields))
        words = list(islice(Counter(counts).elements(), MAX_QUERY_WORDS))
        scores = np.zeros(len(self._names))
        for weight, field in zip(WEIGHTS, self._fields, strict=True):
            known = [word for word in words if word in field]
            if known:
                scores += weight * field.get_scores(known)
        found = np.flatnonzero(scores)
        if len(found) > k:
            found = found[scores[found] >= np.partition(scores[found], -k)[-k]]
        pairs = zip(scores[found].tolist(), found.tolist(), strict=True)
        ranked = sorted((-score, self._names[slot] or "") for score, slot in pairs)
        return [(name, -score) for score, name in ranked[:k]]

    def explain(self, query: str, k: int) -> list[Found]:
        """The results of `search`, each with what every word of the query adds in each field, the largest first."""
        results = self.search(query, k)
        counts = count_words(query, lambda word: any(word in field for field in self._fields))
        repeated = list(islice(Counter(counts).elements(), MAX_QUERY_WORDS))
        parts: dict[str, list[Part]] = {name: [] for name, _ in results}
        for name, weight, field in zip(FIELDS, WEIGHTS, self._fields, strict=True):
            for word in dict.fromkeys(repeated):
                if word in field:
                    scores = weight * field.get_scores([word] * repeated.count(word))
                    for skill, found in parts.items():
                        score = float(scores[self._slots[skill]])
                        found += [Part(word, name, score)] if score else []
        return [
            Found(name, score, tuple(sorted(parts[name], key=lambda part: (-part.score, part.field, part.word))))
            for name, score in results
        ]

    def _holds(self, name: str, skill: Skill) -> bool:
        slot = self._slots.get(name)
        return slot is not None and self._digests[slot] == _digest(_texts(name, skill))

    def _put(self, name: str, skill: Skill) -> None:
        if len(self._slots) == SMALL:
            self._fields = [_inverted(field, self._slots.values()) for field in self._fields]
        if not self._empty:
            self._empty.append(len(self._names))
            self._names.append(None)
            self._digests.append(b"")
        slot = self._empty.pop()
        texts = _texts(name, skill)
        for field, text in zip(self._fields, texts, strict=True):
            field.put(slot, count_words(text))
        self._names[slot] = name
        self._digests[slot] = _digest(texts)
        self._slots[name] = slot

    def _state(self) -> saved.State:
        fields = [field.postings() for field in self._fields if isinstance(field, InvertedField)]
        return saved.State(self._names, self._digests, fields)

    @classmethod
    def _saved(cls, root: Path) -> Self:
        """The index stored in the folder `root`; an empty one if there is none or it is unusable."""
        index = cls()
        state = saved.read(root)
        if state is not None:
            with suppress(ValueError):
                index._restore(state)
        return index

    def _restore(self, state: saved.State) -> None:
        """Fill an empty index. Raises `ValueError`, and stays empty, if the state is inconsistent."""
        filled = [name is not None for name in state.names]
        slots = {name: slot for slot, name in enumerate(state.names) if name is not None}
        if len(slots) != sum(filled) or len(state.digests) != len(filled) or len(state.fields) != len(WEIGHTS):
            raise ValueError("the skills of the stored index are inconsistent")
        self._fields = [InvertedField.of(postings, filled) for postings in state.fields]
        self._slots, self._names, self._digests = slots, state.names, state.digests
        self._empty = [slot for slot, name in enumerate(state.names) if name is None]


def _texts(name: str, skill: Skill) -> tuple[str, str, str]:
    """The indexed fields of a skill: its name (or else the one it is indexed by), description and body."""
    return skill.name or name, skill.description, skill.body


def _digest(texts: tuple[str, str, str]) -> bytes:
    digest = blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8))
        digest.update(data)
    return digest.digest()


def _inverted(field: Field, slots: Iterable[int]) -> Field:
    """An inverted index of the `slots` of `field`."""
    if not isinstance(field, OkapiField):
        return field
    inverted = InvertedField()
    for slot in slots:
        inverted.put(slot, field.doc_freqs[slot])
    return inverted
