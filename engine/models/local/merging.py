"""An adapter that is added to the weights while the curator answers, which saves two small products in each layer.

    adapter = Merged(network)
    with adapter.on():
        network(input_ids=…)              # as with the adapter, but for rounding

The sums are made once, so a `Merged` is of use until the adapter changes. The base weights are put back as they were, bit
for bit. Only a small model in float32 is merged: the sums take the memory of the weights once more, and rounding them to a
shorter type would change what is drawn.
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


class Merged:
    """The adapter of `network` (`PeftModel`), which is `mergeable`, in the weights of its base."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._weights: list[tuple[torch.nn.Parameter, torch.Tensor]] | None = None

    @contextmanager
    def on(self) -> Iterator[None]:
        """The base has the sums for weights in here. Nothing else may use it meanwhile."""
        if self._weights is None:
            self._weights = _sums(self._network)
        before = [parameter.data for parameter, _ in self._weights]
        try:
            for parameter, data in self._weights:
                parameter.data = data
            with self._network.disable_adapter():
                yield
        finally:
            for (parameter, _), data in zip(self._weights, before, strict=True):
                parameter.data = data


@torch.no_grad()
def _sums(network: Any) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
    """Each weight with an adapter, and its sum with it."""
    sums = []
    for layer in _layers(network):
        weight = layer.get_base_layer().weight
        sums.append((weight, sum(map(layer.get_delta_weight, layer.active_adapters), start=weight.data)))
    return sums


def _layers(network: Any) -> list[Any]:
    """The layers with an adapter."""
    from peft.tuners.lora import LoraLayer

    return [module for module in network.modules() if isinstance(module, LoraLayer)]
