"""An adapter that is added to the weights while the curator answers, which saves two small products in each layer.

    with merged(network):
        network(input_ids=…)              # as with the adapter, but for rounding

The base weights are put back as they were, bit for bit. Only a small model in float32 is merged: the sum takes the memory of
the weights once more, and rounding it to a shorter type would change what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

MOST_BYTES = 256 * 2**20


def mergeable(network: Any) -> bool:
    """Whether the adapter of `network` is added to its weights: see `MOST_BYTES`."""
    layers = _layers(network)
    weights = [layer.get_base_layer().weight for layer in layers]
    return (
        bool(layers)
        and all(type(layer.get_base_layer()) is torch.nn.Linear and not layer.merged for layer in layers)
        and all(weight.dtype == torch.float32 for weight in weights)
        and sum(weight.nbytes for weight in weights) <= MOST_BYTES
    )


@contextmanager
def merged(network: Any) -> Iterator[None]:
    """The network (`PeftModel`) as its base with the adapter in its weights, in here. Nothing else may use it meanwhile."""
    weights = []
    try:
        with torch.no_grad():
            for layer in _layers(network):
                base = layer.get_base_layer()
                weights.append((base.weight, base.weight.data))
                base.weight.data = sum(map(layer.get_delta_weight, layer.active_adapters), start=base.weight.data)
        with network.disable_adapter():
            yield
    finally:
        for parameter, data in weights:
            parameter.data = data


def _layers(network: Any) -> list[Any]:
    """The layers with an adapter."""
    from peft.tuners.lora import LoraLayer

    return [module for module in network.modules() if isinstance(module, LoraLayer)]
