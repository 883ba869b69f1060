"""The tokenizer of the search: lower-case words without stop words, stemmed by Snowball's English stemmer.

    count_words("Where mugs are: look for a mug in the safe.")      # {'mug': 2, 'look': 1, 'safe': 1}

Chinese and Japanese have no spaces between words, and Korean words carry particles. A run of such characters is split into
overlapping pairs, as in Lucene's CJK analysis.
"""

from __future__ import annotations

import re
from collections import Counter

import Stemmer

STEMMER = f"english {Stemmer.version()}"
STOP_WORDS = frozenset(
    """
    a about after all also an and any are as at be been before but by can could did do does for from had has have he her
    his how i if in into is it its me my no nor not of on or our she should so some such than that the their them then
    there these they this those to too up was we were what when where which while who why will with would you your
    """.split()
)

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_RUN = re.compile(rf"[{_CJK}]")
_WORD = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]{{1,255}}")


def count_words(text: str) -> dict[str, int]:
    """The number of occurrences of each stem in `text`, in the order of first occurrence. Accepts any text."""
    found = Counter(_WORD.findall(text.lower()))
    if not text.isascii() and _RUN.search(text):
        found = _in_pairs(found)
    words = [word for word in found if word not in STOP_WORDS]
    counts: dict[str, int] = {}
    for word, stem in zip(words, Stemmer.Stemmer("english", 0).stemWords(words), strict=True):
        counts[stem] = counts.get(stem, 0) + found[word]
    return counts


def _in_pairs(found: Counter[str]) -> Counter[str]:
    """`found` with every run of Chinese, Japanese or Korean characters split into overlapping pairs."""
    pairs: Counter[str] = Counter()
    for word, count in found.items():
        if len(word) > 2 and _RUN.match(word):
            for start in range(len(word) - 1):
                pairs[word[start : start + 2]] += count
        else:
            pairs[word] += count
    return pairs
