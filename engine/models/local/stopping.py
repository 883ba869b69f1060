"""What ends a row of a batch beside its end token: a stop text, or that nobody waits for it any more.

stops = StopTexts(tokenizer, ("\\n\\n",), width)         # `width` is the columns of the prompts
stops.lengths[row]                                      # tokens that the row had drawn when the text ended it, or None
cut("a\\n\\nb", ("\\n\\n",))                              # "a"
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteria

SPARE = 4
"""Tokens that are read beside those that may hold a stop text: characters may be spread over tokens."""


def cut(text: str, stops: Sequence[str]) -> str | None:
    """`text` up to the first of the stop texts in it; None where it holds none."""
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(found)] if found else None


def stopped(tokenizer: PreTrainedTokenizerBase, ids: list[int], stops: Sequence[str]) -> bool:
    """Whether the text of `ids` holds a stop text; its end is read first."""
    window = max(len(stop.encode()) for stop in stops) + SPARE
    return all(cut(decoded(tokenizer, part), stops) is not None for part in (ids[-window:], ids))


class StopTexts(StoppingCriteria):
    """Ends a row whose text holds a stop text, by the token that completes it. `lengths` counts the row's tokens then."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: Sequence[str], width: int, rows: int) -> None:
        self._tokenizer = tokenizer
        self._stops = stops
        self._width = width
        self.lengths: list[int | None] = [None] * rows

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> Any:
        drawn = input_ids[:, self._width :].tolist()
        for row, ids in enumerate(drawn):
            if self.lengths[row] is None and ids and stopped(self._tokenizer, ids, self._stops):
                self.lengths[row] = len(ids)
        return torch.tensor([length is not None for length in self.lengths], device=input_ids.device)


class Unwanted(StoppingCriteria):
    """Ends the rows whose requests were given up. The other rows draw on unchanged."""

    def __init__(self, rows: int, wanted: Callable[[int], bool]) -> None:
        self._rows = rows
        self._wanted = wanted

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> Any:
        return torch.tensor([not self._wanted(row) for row in range(self._rows)], device=input_ids.device)


def decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    """The text of token ids, control tokens included, and no space added or taken away."""
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
