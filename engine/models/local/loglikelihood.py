"""The likelihood of several texts as the continuation of one prompt: what `LocalModel.loglikelihood` computes.

    question = pose(tokenizer, prompt_ids, "<action>", ["go box</action>", "take mug</action>"])
    [scores] = score(model, [question], trees=reads_trees(model))      # mean ln p of an option's tokens, given all before

In a model that reads trees, a prompt goes through the model once. Its options follow it side by side in one row. An
attention mask in the shape of a tree lets each option see the prompt and itself only, at the positions that it has alone. So
the cached prompt is never copied, and a score equals that of a forward pass over prompt and option. Another model (sliding
windows, recurrent layers, positions from the mask) makes just these forward passes, prompt and option by option, which takes
longer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate, takewhile, zip_longest
from types import MappingProxyType
from typing import Any

import msgspec
import torch
from transformers import DynamicCache, PreTrainedTokenizerBase

QUESTIONS_AT_ONCE = 8  # more are not faster on a CPU: each forward pass copies the cache of all
TOKENS_AT_ONCE = 1024
SAME = MappingProxyType({torch.float32: 1e-3})
"""How far the scores of both ways may differ in a model that reads trees; `SAME_ROUNDED` for types that round more."""
SAME_ROUNDED = 0.2


class Question(msgspec.Struct, frozen=True):
    """A prompt and the options that may follow it, as texts and as token ids.

    `root` holds the tokens before every option, `branches` the tokens after it, one list an option; `starts[i]` is the index
    in `branches[i]` of the first token that holds a character of the option.
    """

    options: Sequence[str]
    root: list[int]
    branches: list[list[int]]
    starts: list[int]


class _Pack(msgspec.Struct, frozen=True):
    """Branches of one question that are read in one row; `first` is the index of the first of them."""

    first: int
    branches: Sequence[list[int]]

    @property
    def width(self) -> int:
        return sum(len(branch) - 1 for branch in self.branches)


_NOTHING = _Pack(0, ())


def pose(tokenizer: PreTrainedTokenizerBase, prompt_ids: list[int], prefix: str, options: Sequence[str]) -> Question:
    """The question how likely `options` are after the prompt and `prefix`. Raises `ValueError` for none, or an empty one."""
    if not options or not all(options):
        raise ValueError(f"scoring needs options, none of them empty; these are: {list(options)!r}")
    texts = [prefix + option for option in options]
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=tokenizer.is_fast)
    tails: list[list[int]] = encoded["input_ids"]
    if tokenizer.is_fast:
        starts = [
            next(index for index, (_, end) in enumerate(offsets) if end > len(prefix))
            for offsets in encoded["offset_mapping"]
        ]
    else:
        before = tokenizer(prefix, add_special_tokens=False)["input_ids"]
        starts = [_shared(before, tail) for tail in tails]
    same = takewhile(lambda column: len(set(column)) == 1, zip(*tails, strict=False))
    shared = min(len(list(same)), *starts)
    return Question(
        options,
        [*prompt_ids, *tails[0][:shared]],
        [tail[shared:] for tail in tails],
        [start - shared for start in starts],
    )


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids both begin with; fewer than `other` has."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return min(len(list(same)), len(other) - 1)


@torch.inference_mode()
def reads_trees(model: Any) -> bool:
    """Whether a tree of options can be scored in one row: by the kinds of the model's layers, and by a trial of both
    ways."""
    network = bare(model)
    config = network.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    windows = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    if hasattr(config, "layer_types"):
        windows = kinds != {"full_attention"}
    if windows or network._is_stateful or getattr(config, "alibi", False) or not takes(network, "position_ids"):
        return False
    tokens = network.get_input_embeddings().num_embeddings
    ids = [number * 7 % tokens for number in range(1, 25)]
    trial = Question(["", "", ""], ids[:8], [ids[8:13], ids[13:16], ids[16:24]], [0, 0, 1])
    [one], [other] = (score(model, [trial], trees=trees) for trees in (True, False))
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < SAME.get(network.dtype, SAME_ROUNDED)


def bare(model: Any) -> Any:
    """The model itself, without what PEFT wraps it in."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def takes(model: Any, argument: str) -> bool:
    """Whether the model's forward pass has an argument of that name."""
    return argument in inspect.signature(bare(model).forward).parameters


@torch.inference_mode()
def score(
    model: Any,
    questions: Sequence[Question],
    tokens_at_once: int = TOKENS_AT_ONCE,
    wanted: Callable[[int], bool] = lambda question: True,
    *,
    trees: bool = True,
) -> list[list[float]]:
    """`[question][option]`: the mean natural log-probability of the option's tokens.

    A few questions are read side by side, and right of their prompts about `tokens_at_once` option tokens in one forward
    pass, at least one option of each question. That bounds the memory of caches, masks and logits. Questions that are read
    together are given up before the next forward pass once none of them is `wanted` (by index); their rows are cut short.
    `trees` is what `reads_trees` says of the model.
    """
    if not trees:
        apart = partial(_score_apart, model, tokens_at_once=tokens_at_once)
        return [apart(question, wanted=partial(wanted, index)) for index, question in enumerate(questions)]
    rows: list[list[float]] = []
    for start in range(0, len(questions), QUESTIONS_AT_ONCE):
        together = range(start, min(start + QUESTIONS_AT_ONCE, len(questions)))
        rows += _score(
            model, [questions[index] for index in together], tokens_at_once, partial(_any_wanted, wanted, together)
        )
    return rows


def _any_wanted(wanted: Callable[[int], bool], questions: Sequence[int]) -> bool:
    return any(wanted(index) for index in questions)


def _score_apart(model: Any, question: Question, tokens_at_once: int, wanted: Callable[[], bool]) -> list[float]:
    """The scores of one question by passes over prompt and option. Padding is on the right, where no token sees it."""
    rows = [[*question.root, *branch] for branch in question.branches]
    together = max(1, tokens_at_once // max(map(len, rows)))
    scores: list[float] = []
    for first in range(0, len(rows), together):
        if not wanted():
            break
        part = rows[first : first + together]
        width = max(map(len, part))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in part], device=model.device)
        kept = width - len(question.root) + 1  # the columns of logits from the last token of the root on
        fewer = {"logits_to_keep": kept} if takes(model, "logits_to_keep") else {}
        logprobs = model(input_ids=ids, use_cache=False, **fewer).logits[:, -kept:].float().log_softmax(-1)
        for number, branch in enumerate(question.branches[first : first + together]):
            counted = [
                float(logprobs[number, at, branch[at]]) for at in range(question.starts[first + number], len(branch))
            ]
            scores.append(sum(counted) / len(counted))
    return scores


def _score(
    model: Any, questions: Sequence[Question], tokens_at_once: int, wanted: Callable[[], bool]
) -> list[list[float]]:
    scores: list[list[float]] = [[] for _ in questions]
    if not wanted():
        return scores
    roots, seen = _left_padded([question.root for question in questions], model.device)
    cache = DynamicCache()
    read = model(
        input_ids=roots,
        attention_mask=seen,
        position_ids=(seen.cumsum(-1) - 1).clamp(min=0),
        past_key_values=cache,
        logits_to_keep=1,
    )
    first = read.logits[:, -1].float().log_softmax(-1)
    share = max(1, tokens_at_once // len(questions))
    for packs in zip_longest(*(_packs(question.branches, share) for question in questions), fillvalue=_NOTHING):
        if not wanted():
            break
        right = _read(model, cache, seen, [len(question.root) for question in questions], packs)
        for row, (question, pack) in enumerate(zip(questions, packs, strict=True)):
            ends = list(accumulate((len(branch) - 1 for branch in pack.branches), initial=0))
            for index, branch in enumerate(pack.branches):
                logprobs = [float(first[row, branch[0]]), *right[row][ends[index] : ends[index + 1]]]
                counted = logprobs[question.starts[pack.first + index] :]
                scores[row].append(sum(counted) / len(counted))
    return scores


def _left_padded(rows: Sequence[list[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of equal width, and the mask (1 = a token, 0 = padding), both `[row, position]`."""
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows], device=device)
    return ids, torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)


def _packs(branches: Sequence[list[int]], share: int) -> Iterator[_Pack]:
    """`branches` in order, as many together as fit `share` tokens, at least one."""
    start, width = 0, 0
    for index, branch in enumerate(branches):
        if index > start and width + len(branch) - 1 > share:
            yield _Pack(start, branches[start:index])
            start, width = index, 0
        width += len(branch) - 1
    yield _Pack(start, branches[start:])


def _read(
    model: Any, cache: DynamicCache, seen: torch.Tensor, lengths: Sequence[int], packs: Sequence[_Pack]
) -> list[list[float]]:
    """ln p of each token of the packs but the branches' first, `[row][token]`; the cache is left as it was."""
    width = max(pack.width for pack in packs)
    if not width:
        return [[] for _ in packs]
    ids, targets, positions, owners = (torch.zeros((len(packs), width), dtype=torch.long) for _ in range(4))
    for row, pack in enumerate(packs):
        at = 0
        for number, branch in enumerate(pack.branches, start=1):
            end = at + len(branch) - 1
            ids[row, at:end] = torch.tensor(branch[:-1])
            targets[row, at:end] = torch.tensor(branch[1:])
            positions[row, at:end] = lengths[row] + torch.arange(len(branch) - 1)
            owners[row, at:end] = number
            at = end
    logits = model(
        input_ids=ids.to(model.device),
        attention_mask=_tree(seen, owners.to(model.device), model.dtype),
        position_ids=positions.to(model.device),
        past_key_values=cache,
    ).logits
    cache.crop(-width)
    logprobs = logits.float().log_softmax(-1).gather(-1, targets.to(model.device).unsqueeze(-1)).squeeze(-1)
    rows: list[list[float]] = logprobs.tolist()
    return rows


def _tree(seen: torch.Tensor, owners: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The additive mask `[row, 1, token, key]`: a token sees its prompt, and what is left of it in its own branch."""
    own = (owners.unsqueeze(-1) == owners.unsqueeze(-2)).tril()
    prompt = seen.bool().unsqueeze(1).expand(-1, owners.shape[1], -1)
    allowed = torch.cat([prompt, own], dim=-1).unsqueeze(1)
    return torch.zeros(allowed.shape, dtype=dtype, device=seen.device).masked_fill(~allowed, torch.finfo(dtype).min)
