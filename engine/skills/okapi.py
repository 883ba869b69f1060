"""BM25 whose idf is positive in a repository of any size: `log(1 + (N - df + 0.5) / (df + 0.5))`, as Lucene has it.

Stock `rank_bm25.BM25Okapi` scores every skill of a repository of one or two at or below 0, which is where each training
group starts. Only `retrieval` imports this module, at the first search, since NumPy comes with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rank_bm25 import BM25Okapi


class PositiveOkapi(BM25Okapi):  # type: ignore[misc]
    """`rank_bm25.BM25Okapi` with Lucene's idf, also over an empty corpus; `k1` 1.5 and `b` 0.75 as there.

    `corpus` is one list of words a document, none of them empty. `get_scores` returns a float array [documents].
    """

    idf: dict[str, float]

    def __init__(self, corpus: Sequence[Sequence[str]]) -> None:
        super().__init__(corpus)

    def _initialize(self, corpus: Sequence[Sequence[str]]) -> Mapping[str, int]:
        if not corpus:
            return {}
        counts: Mapping[str, int] = super()._initialize(corpus)
        return counts

    def _calc_idf(self, nd: Mapping[str, int]) -> None:
        for word, count in nd.items():
            self.idf[word] = math.log(1 + (self.corpus_size - count + 0.5) / (count + 0.5))
