"""Attention that copies no keys and values of many rows, makes no matrix of tokens × tokens, and needs no plan for a shape.

    with unplanned(device), grouped_heads(network): # decoding: every pass in here has an additive mask
        network(input_ids=…, attention_mask=additive, …)
    with no_matrix(network):                        # training: passes without a mask
        network(input_ids=…)

For a pass with a mask, as most of a batch's are, transformers copies keys and values for each head of a group, which takes
longer than the attention itself when one token a row is read. For one without a mask it leaves the groups to PyTorch, whose
only kernel on a GPU that knows groups of 32-bit numbers keeps a matrix of tokens × tokens for each head: 4.3 GB a layer of
Qwen3-0.6B at 8,192 tokens. And cuDNN's attention, which PyTorch prefers on some GPUs, makes a plan for each new shape: 0.08
s, while each decoded token makes the rows longer.

Measured on an H100 with a Qwen3 of 8 billion parameters in bfloat16 and 32 rows of 1,400 tokens, a decoding step takes 182
ms by transformers' attention, 104 ms by `grouped_heads`, 59 ms by `unplanned`, and 37 ms by both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

GROUPED, REPEATED = "grouped_heads", "repeated_heads"


def grouped(
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
    elif query.device.type != "cpu":
        key, value = _for_each_head(key, heads), _for_each_head(value, heads)
    out = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
    )
    if tokens == 1:
        return out.reshape(rows, 1, heads, -1), None
    return out.transpose(1, 2).contiguous(), None


def repeated(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, **more: Any
) -> tuple[torch.Tensor, None]:
    """Attention of transformers, with keys and values copied for each head."""
    heads = query.shape[1]
    ungrouped: Any = SimpleNamespace(is_causal=getattr(module, "is_causal", True))
    return sdpa_attention_forward(
        ungrouped, query, _for_each_head(key, heads), _for_each_head(value, heads), mask, **more
    )


for _name, _function in ((GROUPED, grouped), (REPEATED, repeated)):
    AttentionInterface.register(_name, _function)
    AttentionMaskInterface.register(_name, sdpa_mask)


@contextmanager
def grouped_heads(network: Any) -> Iterator[None]:
    """Let `network` (without what PEFT wraps it in) attend by `grouped` in here, where it attends by SDPA.

    Every pass in here needs an additive mask. Whether the results are those of transformers' own attention is for a trial to
    say (`decoding.decodes`): a model may need more of its attention than a scale.
    """
    with _attending(network, GROUPED):
        yield


@contextmanager
def no_matrix(network: Any) -> Iterator[None]:
    """Let `network` (without what PEFT wraps it in) attend by `repeated` in here, where it attends by SDPA in 32 bits on a
    GPU. A backward pass that computes layers again must be in here too."""
    if network.device.type == "cpu" or network.dtype != torch.float32:
        yield
        return
    with _attending(network, REPEATED):
        yield


@contextmanager
def unplanned(device: torch.device) -> Iterator[None]:
    """Let no attention of this process be cuDNN's in here, where `device` is a GPU of NVIDIA."""
    before = torch.backends.cuda.cudnn_sdp_enabled()
    if device.type != "cuda" or not before:
        yield
        return
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


@contextmanager
def _attending(network: Any, name: str) -> Iterator[None]:
    config = network.config
    if config._attn_implementation != "sdpa":
        yield
        return
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = "sdpa"


def _for_each_head(states: torch.Tensor, heads: int) -> torch.Tensor:
    """Keys or values `[row, group, token, dimension]` of each of `heads` heads."""
    return states.repeat_interleave(heads // states.shape[1], dim=1)
