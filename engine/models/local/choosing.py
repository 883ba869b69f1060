"""Constrained decoding: a row may draw only the tokens with which its text can still become one of the given options.

    options = Options([[5, 9], [5, 9, 7]], ends={2})
    walk = Walk(options)
    walk.allowed                # [5]; after take(5), take(9): [7, 2]
    walk.option                 # which option was written, once an end was taken

The options are the paths of a trie of token ids, as the tokenizer splits them. An end token closes an option.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch


class _Node:
    """A place in the trie. `option` is the index of the option that may end here."""

    __slots__ = ("after", "option")

    def __init__(self) -> None:
        self.after: dict[int, _Node] = {}
        self.option: int | None = None


class Options:
    """Options as token ids, none of them empty. Of two with equal ids the first is written."""

    def __init__(self, options: Sequence[Sequence[int]], ends: Collection[int]) -> None:
        self.longest = max(map(len, options))
        self.ends = tuple(sorted(ends))
        self.root = _Node()
        for index, option in enumerate(options):
            node = self.root
            for token in option:
                node = node.after.setdefault(token, _Node())
            if node.option is None:
                node.option = index


class Walk:
    """One row's way through the options. `option` is the index of the option that it wrote; None until it has ended."""

    def __init__(self, options: Options) -> None:
        self._node: _Node | None = options.root
        self._ends = options.ends
        self.option: int | None = None

    @property
    def allowed(self) -> list[int] | None:
        """The tokens that may follow; None once the row has ended."""
        if self._node is None:
            return None
        return [*self._node.after, *(self._ends if self._node.option is not None else ())]

    def take(self, token: int) -> None:
        """Go on by a token that is allowed; after the end, by any."""
        if self._node is None:
            return
        if token in self._node.after:
            self._node = self._node.after[token]
        else:
            self.option, self._node = self._node.option, None


def constrained(logits: torch.Tensor, walks: Sequence[Walk]) -> torch.Tensor:
    """`logits` `[row, token]` with -inf for what a row may not draw."""
    kept = torch.full_like(logits, -torch.inf)
    for row, walk in enumerate(walks):
        allowed = walk.allowed
        columns = slice(None) if allowed is None else torch.tensor(allowed, device=logits.device)
        kept[row, columns] = logits[row, columns]
    return kept
