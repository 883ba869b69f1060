"""BM25 of one field by rank-bm25, with an idf that is positive in a repository of any size.

Stock `rank_bm25.BM25Okapi` scores every skill at or below 0 in a repository of one or two skills, the size at which each
training group starts. Small repositories are searched with this; it is also the reference for `inverted`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from rank_bm25 import BM25Okapi

K1 = 1.5
B = 0.75

Scores = npt.NDArray[np.float64]


class Field(Protocol):
    """BM25 over one field of the skills. A skill is identified by its slot, a small number. A slot can be empty.

    A skill without words in the field counts as one of the N skills.
    """

    def put(self, slot: int, counts: Mapping[str, int]) -> None:
        """Fill the empty `slot` with the number of occurrences of each word."""

    def drop(self, slot: int) -> None:
        """Empty `slot`."""

    def __contains__(self, word: str) -> bool:
        """Whether a skill has `word` in this field."""

    def get_scores(self, query: Sequence[str]) -> Scores:
        """The BM25 score of each slot [slots], 0 for a slot without a word of `query`.

        Every word of `query` is in the field. Equal words are adjacent; each occurrence counts.
        """


def idf(skills: int, with_word: int) -> float:
    """Lucene's idf, `log(1 + (N - df + 0.5) / (df + 0.5))`, of a word that `with_word` of `skills` skills have."""
    return math.log(1 + (skills - with_word + 0.5) / (with_word + 0.5))


class OkapiField(BM25Okapi):  # type: ignore[misc]
    """`rank_bm25.BM25Okapi` with its own scoring, Lucene's idf, and documents that can be added and removed."""

    def __init__(self) -> None:  # the stock constructor counts a fixed corpus, and fails for an empty one
        self.k1 = K1
        self.b = B
        self.corpus_size = 0  # the number of slots, empty ones included
        self.avgdl = 0.0
        self.doc_freqs: list[Mapping[str, int]] = []
        self.doc_len: list[int] = []
        self.idf: dict[str, float] = {}
        self._with_word: Counter[str] = Counter()
        self._skills = 0
        self._total = 0

    def put(self, slot: int, counts: Mapping[str, int]) -> None:
        """Fill the empty `slot`."""
        while slot >= len(self.doc_freqs):
            self.doc_freqs.append({})
            self.doc_len.append(0)
            self.corpus_size += 1
        self.doc_freqs[slot] = counts
        self.doc_len[slot] = sum(counts.values())
        self._skills += 1
        self._total += self.doc_len[slot]
        for word in counts:
            self._with_word[word] += 1

    def drop(self, slot: int) -> None:
        """Empty `slot`."""
        for word in self.doc_freqs[slot]:
            self._with_word[word] -= 1
        self._skills -= 1
        self._total -= self.doc_len[slot]
        self.doc_freqs[slot] = {}
        self.doc_len[slot] = 0

    def __contains__(self, word: str) -> bool:
        return self._with_word.get(word, 0) > 0

    def get_scores(self, query: Sequence[str]) -> Scores:
        """The BM25 score of each slot [slots], with the idf of the present skills."""
        self.idf = {word: idf(self._skills, self._with_word[word]) for word in query}
        self.avgdl = self._total / self._skills
        scores: Scores = super().get_scores(query)
        return scores
