"""The tokenizer of the search: folded words without stop words, stemmed by Snowball's English stemmer.

    count_words("Where mugs are: look for a mug in the safe.")      # {'mug': 2, 'look': 1, 'safe': 1}
    count_words("parseJson in C++")                                 # {'parsejson': 1, 'pars': 1, 'json': 1, 'c++': 1}

Case and accents do not count (Unicode's case folding; the marks of Latin, Greek and Cyrillic letters are dropped, and
compatibility forms are replaced). Identifiers are split at `_`, at signs, and at a change of case, where the whole counts
as well. `C++` and `C#` are words of their own. Chinese and Japanese have no spaces between words, and Korean words carry
particles: a run of such characters is split into overlapping pairs, as in Lucene's CJK analysis.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

import Stemmer

from engine.core.text import CJK

STEMMER = f"english {Stemmer.version()} unicode {unicodedata.unidata_version}"
STOP_WORDS = frozenset(
    """
    a about after all also an and any are as at be been before but by can could did do does for from had has have he her
    his how i if in into is it its me my no nor not of on or our she should so some such than that the their them then
    there these they this those to too up was we were what when where which while who why will with would you your
    """.split()
)

_RUN = re.compile(rf"[{CJK}]")
_WORD = re.compile(rf"[{CJK}]+|(?<![^\W_])[^\W\d_](?:\+\+|#)(?![^\W\d_])|[^\W_{CJK}]{{1,255}}")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_MARKS = re.compile("[\u0300-\u036f]+")
_PLAIN_LETTERS = str.maketrans(
    {
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "ð": "d",
        "Ð": "D",
        "ħ": "h",
        "Ħ": "H",
        "ŧ": "t",
        "Ŧ": "T",
    }
    | {"æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "þ": "th", "Þ": "Th", "ı": "i", "ß": "ss", "ẞ": "SS"}
)
"""Latin letters that Unicode does not decompose into a letter and a mark."""


def count_words(text: str, is_indexed: Callable[[str], bool] | None = None) -> dict[str, int]:
    """The number of occurrences of each stem in `text`, in the order of first occurrence. Accepts any text.

    For a query, `is_indexed` says whether a skill has a stem. A name of two parts, such as GitHub, is then searched
    for as a whole if a skill has it, and by its parts only if none has.
    """
    if not text.isascii():
        text = _without_accents(text)
    found = Counter[str]()
    for word, count in Counter(_WORD.findall(text)).items():
        for part in _parts(word, is_indexed):
            found[part] += count
    words = [word for word in found if word not in STOP_WORDS]
    counts: dict[str, int] = {}
    for word, stem in zip(words, _stems(words), strict=True):
        counts[stem] = counts.get(stem, 0) + found[word]
    return counts


def _parts(word: str, is_indexed: Callable[[str], bool] | None) -> list[str]:
    """The words that one word stands for: itself, and the words of an identifier; pairs of Chinese, Japanese or Korean."""
    folded = word.casefold()
    if folded == word:
        return [word[at : at + 2] for at in range(len(word) - 1)] if len(word) > 2 and _RUN.match(word) else [word]
    if not word.isascii() or len(humps := _HUMP.split(word)) == 1:
        return [folded]
    if is_indexed and len(humps) == 2 and word[0].isupper() and is_indexed(_stems([folded])[0]):
        return [folded]
    return [folded, *(hump.casefold() for hump in humps)]


def _stems(words: list[str]) -> list[str]:
    stems: list[str] = Stemmer.Stemmer("english", 0).stemWords(words)
    return stems


def _without_accents(text: str) -> str:
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", bare).translate(_PLAIN_LETTERS)
