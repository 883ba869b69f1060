"""Decoding with rows that begin and end at different times: a row leaves with its last token, and others join.

    decoder = Decoder(network, tokenizer, sampling, ends={2}, model="curator")
    ended = decoder.advance([Asked(prompt_ids, seed=7, max_tokens=160, wanted=…)])    # until a row ends
    ended = decoder.advance([another])                                                # it joins; the others go on

What a row draws depends on its prompt and its seed; the others change no more than the rounding of floats. A prompt that
begins as one that another slot holds, because it waits beside it or was read before, is read from there on only.

`decodes(network)` says whether a network can do it. One with sliding windows, recurrent layers or positions of its own uses
`engine.models.local.sampling.generate`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import msgspec
import torch
from transformers import PreTrainedTokenizerBase

from engine.models.base import Sampling
from engine.models.local.attention import grouped_heads
from engine.models.local.choosing import Options, Walk
from engine.models.local.loglikelihood import SAME, SAME_ROUNDED, bare, takes
from engine.models.local.sampling import Draw, Drawn, drawn_row
from engine.models.local.slots import Slots
from engine.models.local.stopping import stopped

TOKENS_AT_ONCE = 1024
"""How many tokens of prompts one forward pass reads. It bounds the memory of its mask and activations."""
AHEAD = 256
"""The most tokens of an answer for which memory is allocated before they are drawn."""
WORTH_COPYING = 16
"""The fewest tokens that two prompts must begin with for one to be copied from the other."""


class Asked(msgspec.Struct, eq=False):
    """A row that is to be drawn. `wanted()` is false once nobody waits for it; then it ends at its next token."""

    prompt: list[int]
    seed: int
    max_tokens: int
    wanted: Callable[[], bool] = lambda: True
    options: Options | None = None
    tag: Any = None


class _Row(msgspec.Struct, eq=False):
    """A row that is drawn. `read`: how many tokens of its prompt are in its slot."""

    asked: Asked
    generator: torch.Generator | None
    walk: Walk | None
    read: int = 0
    ids: list[int] = []
    logprobs: list[float] = []

    @property
    def unread(self) -> int:
        """How many tokens of its prompt are not read yet."""
        return len(self.asked.prompt) - self.read

    @property
    def tokens(self) -> list[int]:
        """What its slot holds before its last token is read."""
        return [*self.asked.prompt, *self.ids[:-1]]

    @property
    def length(self) -> int:
        """How many tokens its slot holds before its last one is read."""
        return len(self.asked.prompt) + len(self.ids) - 1


class Decoder:
    """The rows of one model with one sampling; `sampling.seed` and its `max_tokens` are those of each row.

    The rows are in the first slots, and each slot after them holds what the row before had there: `_held` are its tokens.
    """

    def __init__(
        self,
        network: Any,
        tokenizer: PreTrainedTokenizerBase,
        sampling: Sampling,
        *,
        ends: Collection[int],
        model: str,
    ) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self._ends = frozenset(ends)
        self._stop = sampling.stop
        self._draw = Draw(sampling, network.device, model)
        self._slots = Slots(bare(network).config.get_text_config().num_hidden_layers)
        self._rows: list[_Row] = []
        self._held: list[list[int]] = []

    def __len__(self) -> int:
        """How many rows are drawn."""
        return len(self._rows)

    @torch.inference_mode()
    def advance(
        self, joining: Sequence[Asked] = (), interrupted: Callable[[], bool] = lambda: False
    ) -> list[tuple[Asked, Drawn]]:
        """Let rows join, and draw until at least one ends, or `interrupted()` says so after a token. Raises `NotFinite`."""
        with grouped_heads(bare(self._network)):
            if joining:
                self._take(self._join(joining), len(self._rows) - len(joining))
            ended = self._leave()
            while self._rows and not ended and not interrupted():
                rows = self._rows
                self._take(self._read(0, [row.ids[-1:] for row in rows], [row.length for row in rows]), 0)
                ended = self._leave()
        return ended

    # Drawing.

    def _take(self, logits: torch.Tensor, first: int) -> None:
        """Draw a token for each row from `first` on."""
        rows = self._rows[first:]
        walks = [row.walk for row in rows if row.walk is not None]
        tokens, logprobs = self._draw.tokens(logits, [row.generator for row in rows if row.generator], walks)
        for row, token, logprob in zip(rows, tokens, logprobs, strict=True):
            row.ids.append(token)
            row.logprobs.append(logprob)
            if row.walk is not None:
                row.walk.take(token)

    def _leave(self) -> list[tuple[Asked, Drawn]]:
        """Take out the rows that have ended; their slots keep what they hold, behind those of the others."""
        ended = []
        for index in reversed(range(len(self._rows))):
            row = self._rows[index]
            if self._has_ended(row):
                ended.append((row.asked, self._drawn(row)))
                self._held[index] = row.tokens
                self._held[len(self._rows) - 1] = self._rows[-1].tokens
                self._exchange(index, len(self._rows) - 1)
                self._rows[index] = self._rows[-1]
                del self._rows[-1]
        return ended[::-1]

    def _has_ended(self, row: _Row) -> bool:
        asked = row.asked
        if row.ids[-1] in self._ends or len(row.ids) >= asked.max_tokens or not asked.wanted():
            return True
        return bool(self._stop) and row.walk is None and stopped(self._tokenizer, row.ids, self._stop)

    def _drawn(self, row: _Row) -> Drawn:
        stops = () if row.walk is not None else self._stop
        drawn = drawn_row(self._tokenizer, row.asked.prompt, row.ids, row.logprobs, self._ends, stops)
        return drawn if row.walk is None else msgspec.structs.replace(drawn, option=row.walk.option)

    # Joining.

    def _join(self, joining: Sequence[Asked]) -> torch.Tensor:
        """Put rows behind the others and read their prompts; their logits `[row, token]` of the token that follows."""
        first = len(self._rows)  # those that go on from a free slot come first, and those that copy another's last
        rows = [self._row(asked) for asked in joining]
        found = self._found(rows, first)
        leaders: dict[int, int] = {}  # a row that copies its beginning from another one that joins
        for index, row in enumerate(rows):
            if index not in found:
                best, same = _longest(
                    row.asked.prompt,
                    {
                        other: rows[other].asked.prompt
                        for other in range(index)
                        if other not in found and other not in leaders
                    },
                )
                if same >= WORTH_COPYING:
                    leaders[index], row.read = best, same
        order = sorted(range(len(rows)), key=lambda index: (index in leaders, index not in found, rows[index].unread))
        self._slots.reserve(
            first + len(rows), max(len(row.asked.prompt) + min(row.asked.max_tokens, AHEAD) for row in rows)
        )
        self._seat([found.get(index) for index in order], first)
        self._rows += [rows[index] for index in order]
        leading = len(rows) - len(leaders)
        logits = [self._read_prompts(first, self._rows[first : first + leading])] if leading else []
        for slot, index in enumerate(order[leading:], start=first + leading):
            self._slots.copy(first + order.index(leaders[index]), slot, rows[index].read)
        if leaders:
            logits.append(self._read_prompts(first + leading, self._rows[first + leading :]))
        return torch.cat(logits)

    def _row(self, asked: Asked) -> _Row:
        walk = None if asked.options is None else Walk(asked.options)
        return _Row(asked, self._draw.generator(asked.seed), walk, ids=[], logprobs=[])

    def _found(self, rows: Sequence[_Row], first: int) -> dict[int, list[int]]:
        """By row, the tokens of the free slot that it goes on from; `read` is set to how many of them it begins with."""
        free = dict(enumerate(self._held[first:], start=first))
        found = {}
        for index, row in enumerate(rows):
            slot, same = _longest(row.asked.prompt, free)
            if same >= WORTH_COPYING:
                row.read = same
                found[index] = free.pop(slot)
        return found

    def _seat(self, wanted: Sequence[list[int] | None], first: int) -> None:
        """Exchange slots from `first` on so that each holds the tokens that are wanted there; None wants none."""
        while len(self._held) < first + len(wanted):
            self._held.append([])
        for slot, tokens in enumerate(wanted, start=first):
            if tokens is not None:
                at = next(at for at in range(first, len(self._held)) if self._held[at] is tokens)
                self._exchange(slot, at)

    def _exchange(self, one: int, other: int) -> None:
        if one != other:
            self._held[one], self._held[other] = self._held[other], self._held[one]
            longest = max(len(self._held[one]), len(self._held[other]))
            self._slots.swap(one, other, longest)

    def _read_prompts(self, first: int, rows: Sequence[_Row]) -> torch.Tensor:
        """Read what is left of the prompts of rows in the slots from `first` on; `[row, token]` logits of their ends."""
        logits = []
        for start, end in _parts([row.unread for row in rows]):
            part = rows[start:end]
            tails = [row.asked.prompt[row.read :] for row in part]
            starts = [row.read for row in part]
            while max(map(len, tails)) > TOKENS_AT_ONCE:  # then it is one row
                self._read(first + start, [tails[0][:TOKENS_AT_ONCE]], starts)
                tails, starts = [tails[0][TOKENS_AT_ONCE:]], [starts[0] + TOKENS_AT_ONCE]
            logits.append(self._read(first + start, tails, starts))
        return torch.cat(logits)

    def _read(self, first: int, tokens: Sequence[Sequence[int]], starts: Sequence[int]) -> torch.Tensor:
        """Read tokens into the slots from `first` on, from the columns `starts` on; `[row, token]` logits after the last of
        each row. Padding is on the right: it is overwritten before it is seen."""
        device = self._network.device
        lengths = list(map(len, tokens))
        longest = max(lengths)
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in tokens], device=device)
        columns = torch.tensor(starts, device=device)[:, None] + torch.arange(longest, device=device)
        width = max(start + length for start, length in zip(starts, lengths, strict=True))
        lasts = torch.tensor(lengths, device=device) - 1
        positions = torch.minimum(columns, columns.gather(1, lasts[:, None]))
        hidden = torch.arange(width, device=device) > positions[:, None, :, None]
        dtype = self._network.dtype
        mask = torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, torch.finfo(dtype).min)
        self._slots.place(first, columns, width, max(starts) + longest)
        kept = lasts.unique()
        logits = self._network(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._slots,
            use_cache=True,
            logits_to_keep=1 if len(kept) == 1 else kept,
        ).logits
        return logits[torch.arange(len(tokens), device=device), torch.searchsorted(kept, lasts)]


def _parts(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges of rows, in order, of which each has at most `TOKENS_AT_ONCE` tokens and padding, or one row."""
    start, longest = 0, 0
    for index, length in enumerate(lengths):
        longest = max(longest, length)
        if index > start and longest * (index + 1 - start) > TOKENS_AT_ONCE:
            yield start, index
            start, longest = index, length
    yield start, len(lengths)


def _longest(prompt: Sequence[int], others: dict[int, list[int]]) -> tuple[int, int]:
    """Which of `others` begins with most tokens of `prompt`, and how many; its last token is never counted."""
    best = max(others, key=lambda key: _same(prompt, others[key]), default=-1)
    return best, min(_same(prompt, others[best]), len(prompt) - 1) if others else 0


def _same(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


@torch.inference_mode()
def decodes(network: Any, *, trees: bool) -> bool:
    """Whether `Decoder` draws what passes over the whole text give, by a trial. `trees` is what `reads_trees` says: a
    network that reads trees has no windows and no state, and takes masks and positions."""
    if not trees or not takes(network, "logits_to_keep"):
        return False
    tokens = network.get_input_embeddings().num_embeddings
    prompts = [[number * 7 % tokens for number in range(1, 4 + length)] for length in (20, 3, 24)]
    decoder = Decoder(network, _Nothing(), Sampling(temperature=0), ends=(), model="trial")  # type: ignore[arg-type]
    asked = [Asked(prompt, 0, count) for prompt, count in zip(prompts, (2, 4, 3), strict=True)]
    ended = decoder.advance(asked[:2]) + decoder.advance(asked[2:])
    while len(decoder):
        ended += decoder.advance()
    return all(_is_same(network, drawn.tokens.prompt_ids, drawn) for _, drawn in ended)


class _Nothing:
    """A tokenizer of the trial, whose texts nobody reads."""

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        return ""


def _is_same(network: Any, prompt: list[int], drawn: Drawn) -> bool:
    """Whether the log-probabilities of a row are those of a pass over all its tokens."""
    answer = drawn.tokens.completion_ids
    ids = torch.tensor([[*prompt, *answer]], device=network.device)
    logprobs = network(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
    expected = logprobs.gather(-1, torch.tensor(answer, device=network.device)[:, None]).squeeze(-1)
    difference = (expected.cpu() - torch.tensor(drawn.tokens.logprobs)).abs().max()
    return bool(difference < SAME.get(network.dtype, SAME_ROUNDED))
