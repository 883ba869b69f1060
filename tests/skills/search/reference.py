"""What search should answer, from rank-bm25 itself: an index of each field built anew for every query.

found = search({"find-mugs": skill}, "where are mugs", 5)
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from rank_bm25 import BM25Okapi

from engine.skills import Skill
from engine.skills.search.words import count_words

WEIGHTS = {"name": 1, "description": 2, "body": 2}


class LuceneOkapi(BM25Okapi):
    """Stock BM25, but for the idf."""

    def _calc_idf(self, nd: Mapping[str, int]) -> None:
        for word, count in nd.items():
            self.idf[word] = math.log(1 + (self.corpus_size - count + 0.5) / (count + 0.5))


def words(text: str) -> list[str]:
    """The stems of `text`, each as often as it occurs."""
    return [word for word, count in count_words(text).items() for _ in range(count)]


def search(skills: Mapping[str, Skill], query: str, k: int) -> list[tuple[str, float]]:
    """The best `k` skills with their scores."""
    scores = dict.fromkeys(skills, 0.0)
    for field, weight in WEIGHTS.items():
        corpus = [words(getattr(skill, field)) for skill in skills.values()]
        if any(corpus):
            found = weight * LuceneOkapi(corpus).get_scores(words(query))
            scores = {name: score + more for (name, score), more in zip(scores.items(), found.tolist(), strict=True)}
    ranked = sorted((-score, name) for name, score in scores.items() if score > 0)
    return [(name, -score) for score, name in ranked[:k]]
