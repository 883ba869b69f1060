"""BM25 of one field by an inverted index that is updated edit by edit, for up to tens of thousands of skills.

The postings of a word are two arrays: slots in ascending order, and the word's count in each. An edit changes only the
postings of its own words. N, df and the average length are updated as sums, so the index is never rebuilt. The arithmetic
is that of rank-bm25, operation by operation, so that the scores are equal to the last bit.

Why not rank-bm25: it scores every document for every word, and it has no edits. With 5,000 skills it takes 836 ms to build
again after an edit and 186 ms for a query of 200 words; this takes 0.6 ms and 3 ms (`tests.benchmarks.retrieval`, 2 cores).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from engine.skills.search.okapi import K1, B, Scores, idf

INT = np.dtype(np.intc)
_EMPTY = array("i")


class Postings(msgspec.Struct, frozen=True):
    """A field as plain data: the postings of the words, concatenated; `sizes` is their number by word. Bytes are C ints."""

    words: list[str]
    sizes: bytes
    slots: bytes
    counts: bytes


class InvertedField:
    """Implements `engine.skills.search.okapi.Field`: the same scores, to the last bit."""

    def __init__(self) -> None:
        self._skills = 0
        self._numbers: dict[str, int] = {}  # a word's number is its index in `_slots` and `_counts`
        self._slots: list[array[int]] = []
        self._counts: list[array[int]] = []
        self._words: list[array[int]] = []  # the numbers of a slot's words
        self._lengths = array("q")  # the number of words of a slot
        self._total = 0

    def put(self, slot: int, counts: Mapping[str, int]) -> None:
        """Fill the empty `slot`."""
        self._extend_to(slot)
        numbers = array("i")
        for word, count in counts.items():
            number = self._numbers.setdefault(word, len(self._slots))
            if number == len(self._slots):
                self._slots.append(array("i"))
                self._counts.append(array("i"))
            slots = self._slots[number]
            if not slots or slots[-1] < slot:
                slots.append(slot)
                self._counts[number].append(count)
            else:
                at = bisect_left(slots, slot)
                slots.insert(at, slot)
                self._counts[number].insert(at, count)
            numbers.append(number)
        self._words[slot] = numbers
        self._lengths[slot] = sum(counts.values())
        self._total += self._lengths[slot]
        self._skills += 1

    def drop(self, slot: int) -> None:
        """Empty `slot`."""
        for number in self._words[slot]:
            at = bisect_left(self._slots[number], slot)
            del self._slots[number][at], self._counts[number][at]
        self._total -= self._lengths[slot]
        self._words[slot] = _EMPTY
        self._lengths[slot] = 0
        self._skills -= 1

    def __contains__(self, word: str) -> bool:
        number = self._numbers.get(word)
        return number is not None and len(self._slots[number]) > 0

    def get_scores(self, query: Sequence[str]) -> Scores:
        """The BM25 score of each slot [slots]."""
        lengths = np.frombuffer(self._lengths, np.int64)
        norms = K1 * (1 - B + B * lengths / (self._total / self._skills))
        scores = np.zeros(len(lengths))
        for word, occurrences in groupby(query):
            number = self._numbers[word]
            slots = np.frombuffer(self._slots[number], INT).astype(np.intp)
            counts = np.frombuffer(self._counts[number], INT)
            parts = idf(self._skills, len(slots)) * (counts * (K1 + 1) / (counts + norms[slots]))
            for _ in occurrences:
                np.add.at(scores, slots, parts)
        return scores

    def postings(self) -> Postings:
        """The field as plain data."""
        sizes = array("i", map(len, self._slots))
        return Postings(list(self._numbers), sizes.tobytes(), b"".join(self._slots), b"".join(self._counts))

    @classmethod
    def of(cls, postings: Postings, filled: Sequence[bool]) -> Self:
        """The field of `postings` over slots, of which some are `filled`. Raises `ValueError`."""
        sizes, slots, counts = (np.frombuffer(data, INT) for data in (postings.sizes, postings.slots, postings.counts))
        ends = np.cumsum(sizes, dtype=np.int64)
        _check(postings.words, sizes, slots, counts, np.array(filled, dtype=bool))
        field = cls()
        field._extend_to(len(filled) - 1)
        field._skills = sum(filled)
        field._numbers = {word: number for number, word in enumerate(postings.words)}
        field._slots = _split(slots, ends)
        field._counts = _split(counts, ends)
        numbers = np.repeat(np.arange(len(sizes), dtype=INT), sizes)[np.argsort(slots, kind="stable")]
        field._words = _split(numbers, np.cumsum(np.bincount(slots, minlength=len(filled))))
        lengths = np.bincount(slots, weights=counts, minlength=len(filled)).astype(np.int64)
        field._lengths = array("q", lengths.tobytes())
        field._total = int(lengths.sum())
        return field

    def _extend_to(self, slot: int) -> None:
        missing = slot + 1 - len(self._lengths)
        self._words += [_EMPTY] * missing
        self._lengths.extend([0] * missing)


def _split(values: npt.NDArray[np.intc], ends: npt.NDArray[np.int64]) -> list[array[int]]:
    """Split `values` at `ends`, the last of which is its length."""
    data = values.tobytes()
    cuts = [0, *(ends * INT.itemsize).tolist()]
    return [array("i", data[start:end]) for start, end in pairwise(cuts)]


def _check(
    words: list[str],
    sizes: npt.NDArray[np.intc],
    slots: npt.NDArray[np.intc],
    counts: npt.NDArray[np.intc],
    filled: npt.NDArray[np.bool_],
) -> None:
    """Raise `ValueError` unless these are valid postings: they come from a file."""
    if len(set(words)) != len(words) or len(sizes) != len(words) or (sizes < 0).any():
        raise ValueError("the words and their numbers of postings are inconsistent")
    if not len(slots) == len(counts) == sizes.sum(dtype=np.int64) or (counts < 1).any():
        raise ValueError("the postings and their counts are inconsistent")
    if len(slots) and (slots.min() < 0 or slots.max() >= len(filled) or not filled[slots].all()):
        raise ValueError("there are postings of empty slots")
    falls = np.flatnonzero(np.diff(slots) <= 0) + 1
    if not np.isin(falls, np.cumsum(sizes, dtype=np.int64)).all():
        raise ValueError("a word's postings are out of order")
