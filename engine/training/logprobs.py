"""The log-probabilities that the update needs, and no logits besides: of the trained tokens only, a chunk at a time.

    hidden = last_hidden(causal, ids)                           # (sequences, length, hidden)
    logprobs, entropies = token_logprobs(causal, hidden[rows, at], targets, temperature=1.0)

The logits of a chunk are computed again in the backward pass, so those of 16,384 tokens over a vocabulary of 151,936 never
exist at once. TRL 1.16 has `trl.kernels.ChunkedLogProbFunction` for this. It is not used: its backward pass imports TRL's
trainer utilities (pandas, datasets, accelerate), and on a CPU it needs five temporaries of 4,096 × 32,768 numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK_NUMBERS = 2**25
"""Logits of one chunk: 128 MiB in 32 bits, of which three exist at once."""


def chunk_tokens(vocabulary: int) -> int:
    """Tokens of one chunk."""
    return max(1, CHUNK_NUMBERS // vocabulary)


def padded(sequences: list[list[int]], device: torch.device) -> Tensor:
    """The sequences as one tensor, padded on the right with token 0.

    A causal model needs no mask for it: no token attends to what follows.
    """
    longest = max(map(len, sequences))
    rows = [ids + [0] * (longest - len(ids)) for ids in sequences]
    return torch.tensor(rows, dtype=torch.long, device=device)


def last_hidden(causal: Any, ids: Tensor) -> Tensor:
    """The last hidden states of a causal model of transformers, before its output layer."""
    hidden: Tensor = causal.base_model(input_ids=ids, use_cache=False).last_hidden_state
    return hidden


def token_logprobs(causal: Any, hidden: Tensor, targets: Tensor, *, temperature: float) -> tuple[Tensor, Tensor]:
    """ln p of each target by its hidden state, in 32 bits, and the entropy of its distribution in nats, without a gradient.

    `hidden` is (tokens, hidden), `targets` (tokens,). Both are at `temperature`.
    """
    head = causal.get_output_embeddings()
    cap = _of_config(causal, "final_logit_softcapping")
    given = _scale(causal) / temperature, cap and cap / temperature
    size = chunk_tokens(head.out_features)
    if len(targets) <= size:
        return _of_chunk(head, hidden, targets, *given)
    found = [
        checkpoint(_of_chunk, head, part, ids, *given, use_reentrant=False, preserve_rng_state=False)
        for part, ids in zip(torch.split(hidden, size), torch.split(targets, size), strict=True)
    ]
    logprobs, entropies = zip(*found, strict=True)
    return torch.cat(logprobs), torch.cat(entropies)


def _of_chunk(head: Any, hidden: Tensor, targets: Tensor, factor: float, cap: float | None) -> tuple[Tensor, Tensor]:
    logits = head(hidden).float()
    if factor != 1.0:
        logits = logits * factor
    if cap is not None:
        logits = cap * torch.tanh(logits / cap)
    chosen: tuple[Tensor, Tensor] = _Chosen.apply(logits, targets)  # type: ignore[no-untyped-call]
    return chosen


class _Chosen(torch.autograd.Function):
    """ln p of each target and the entropy of its distribution, by logits (tokens, vocabulary) in 32 bits.

    The derivative of ln p is 1 at the target less the probabilities. Three tensors of the logits' size exist at once: one of
    them is kept for the backward pass. `logsumexp` and `gather` need five.
    """

    @staticmethod
    def forward(context: Any, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        total = logits.logsumexp(-1)
        chances = (logits - total[:, None]).exp_()
        entropies = total - (chances * logits).sum(-1)
        context.mark_non_differentiable(entropies)
        context.save_for_backward(chances, targets)
        return logits.gather(-1, targets[:, None])[:, 0] - total, entropies

    @staticmethod
    def backward(context: Any, *gradients: Any) -> tuple[Tensor, None]:
        chances, targets = context.saved_tensors
        gradient = gradients[0][:, None]
        return (chances * -gradient).scatter_add_(-1, targets[:, None], gradient), None


def _scale(causal: Any) -> float:
    """What the model multiplies its logits by, by whichever name its configuration has it; 1 for almost all."""
    for name in ("logit_scale", "output_multiplier", "lm_head_multiplier"):
        if (factor := _of_config(causal, name)) is not None:
            return factor
    divisor = _of_config(causal, "logits_scaling")
    return 1.0 if divisor is None else 1.0 / divisor


def _of_config(causal: Any, name: str) -> float | None:
    value: float | None = getattr(causal.config.get_text_config(), name, None)
    return value
