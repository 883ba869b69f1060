"""BM25 of one field by rank-bm25, with an idf that is positive in a repository of any size.

Stock `rank_bm25.BM25Okapi` scores every skill of a repository of one or two at or below 0, which is where each training
group starts. This is the reference for `inverted`, and what small repositories are searched with.
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
    """BM25 over one field of the skills. A skill is known by its slot, a small number; a slot may be empty.

    A skill whose field has no words counts as one of the N skills all the same.
    """

    def put(self, slot: int, counts: Mapping[str, int]) -> None:
        """Fill the empty `slot`: how often each word occurs there."""

    def drop(self, slot: int) -> None:
        """Empty `slot`."""

    def __contains__(self, word: str) -> bool:
        """Whether a skill has `word` in this field."""

    def get_scores(self, query: Sequence[str]) -> Scores:
        """The BM25 score of each slot [slots], 0 without a word of `query`.

        `query` has words that are in the field, equal ones standing together; each counts as often as it stands there.
        """


def idf(skills: int, with_word: int) -> float:
    """Lucene's idf, `log(1 + (N - df + 0.5) / (df + 0.5))`, of a word that `with_word` of `skills` skills have."""
    return math.log(1 + (skills - with_word + 0.5) / (with_word + 0.5))


class OkapiField(BM25Okapi):  # type: ignore[misc]
    """`rank_bm25.BM25Okapi`, its scoring untouched, with Lucene's idf and with documents that come and go."""

    def __init__(self) -> None:  # the stock constructor counts a corpus once and for all, and fails over an empty one
        self.k1 = K1
        self.b = B
        self.corpus_size = 0  # of the arrays: the slots, also the empty ones
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
        """The BM25 score of each slot; the idf is that of the skills there are now."""
        self.idf = {word: idf(self._skills, self._with_word[word]) for word in query}
        self.avgdl = self._total / self._skills
        scores: Scores = super().get_scores(query)
        return scores
