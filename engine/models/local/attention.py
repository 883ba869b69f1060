"""Attention for the decoding of many rows on a CPU, where keys and values of a group of heads are read without a copy.

    with grouped_heads(network):
        network(input_ids=…, attention_mask=additive, …)

The attention of transformers copies keys and values for each head before every pass that has a mask, as most of a batch's
do, which takes longer than the attention itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "grouped_heads"


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention `[row, token, head, dimension]` of a query `[row, head, token, dimension]` under an additive mask."""
    rows, heads, tokens, dimension = query.shape
    groups = key.shape[1]
    if tokens == 1:  # the heads of a group stand where tokens do, so that their keys and values are read once
        query = query.reshape(rows, groups, heads // groups, dimension)
    out = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=scaling, enable_gqa=query.shape[1] != groups
    )
    if tokens == 1:
        return out.reshape(rows, 1, heads, -1), None
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


@contextmanager
def grouped_heads(network: Any) -> Iterator[None]:
    """Let `network` (without what PEFT wraps it in) attend so in here, where it is on a CPU and attends by SDPA.

    Every pass in here needs an additive mask. Whether the results are those of transformers' own attention is for a trial to
    say (`decoding.decodes`): a model may need more of its attention than a scale.
    """
    config = network.config
    if network.device.type != "cpu" or config._attn_implementation != "sdpa":
        yield
        return
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = "sdpa"
