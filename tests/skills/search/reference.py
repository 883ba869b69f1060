"""The expected results of the search, from rank-bm25 itself.

Reference({"find-mugs": skill}).search("where are mugs", 5)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from rank_bm25 import BM25Okapi

from engine.skills import Skill
from engine.skills.search.words import count_words

WEIGHTS = (("name", 1), ("description", 2), ("body", 2))


class LuceneOkapi(BM25Okapi):
    """Stock BM25 except for the idf."""

    def _calc_idf(self, nd: Mapping[str, int]) -> None:
        for word, count in nd.items():
            self.idf[word] = math.log(1 + (self.corpus_size - count + 0.5) / (count + 0.5))


class Reference:
    """An Okapi index of each field, without fields that have no words."""

    def __init__(self, skills: Mapping[str, Skill]) -> None:
        self._names = list(skills)
        corpora = [(weight, [words(getattr(skill, field)) for skill in skills.values()]) for field, weight in WEIGHTS]
        self._fields = [(weight, LuceneOkapi(corpus)) for weight, corpus in corpora if any(corpus)]

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """The best `k` skills with their scores."""
        scores = [0.0] * len(self._names)
        asked = words(query, lambda word: any(word in field.idf for _, field in self._fields))
        for weight, field in self._fields:
            found = field.get_scores([word for word in asked if word in field.idf])
            scores = [score + weight * more for score, more in zip(scores, found.tolist(), strict=True)]
        ranked = sorted((-score, name) for name, score in zip(self._names, scores, strict=True) if score > 0)
        return [(name, -score) for score, name in ranked[:k]]


def search(skills: Mapping[str, Skill], query: str, k: int) -> list[tuple[str, float]]:
    """The result for a repository of one query."""
    return Reference(skills).search(query, k)


def words(text: str, is_indexed: Callable[[str], bool] | None = None) -> list[str]:
    """The stems of `text`, with repetitions."""
    return [word for word, count in count_words(text, is_indexed).items() for _ in range(count)]
