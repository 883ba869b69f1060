"""The network as its base, and an adapter that is added to the weights while the curator answers, which saves two small
products in each layer.

    base = Base(network)
    with base.bare():
        network(input_ids=…)              # as without the adapter
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
        and not _others(network)
        and all(type(layer.get_base_layer()) is torch.nn.Linear for layer in layers)
        and all(weight.dtype == torch.float32 for weight in weights)
        and sum(weight.nbytes for weight in weights) <= MOST_BYTES
    )


class Base:
    """The base of `network` (`PeftModel`). Layers with an adapter are exchanged for those of the base, which is
    faster than PEFT's `disable_adapter`; that is used where the adapter has more than such layers."""

    def __init__(self, network: Any) -> None:
        self._network = network
        inside = [] if _others(network) else [*network.modules()]
        self._places = [
            (parent, name, layer) for parent in inside for name, layer in parent.named_children() if _is_lora(layer)
        ]

    @contextmanager
    def bare(self) -> Iterator[None]:
        """The network has no adapter in here. Nothing else may use it meanwhile."""
        if not self._places:
            with self._network.disable_adapter():
                yield
            return
        try:
            for parent, name, layer in self._places:
                setattr(parent, name, layer.get_base_layer())
            yield
        finally:
            for parent, name, layer in self._places:
                setattr(parent, name, layer)


class Merged:
    """The adapter of `network` (`PeftModel`), which is `mergeable`, in the weights of its base."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._base = Base(network)
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
            with self._base.bare():
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
    return [module for module in network.modules() if _is_lora(module)]


def _is_lora(module: Any) -> bool:
    from peft.tuners.lora import LoraLayer

    return isinstance(module, LoraLayer)


def _others(network: Any) -> bool:
    """Whether the adapter is more than two matrices beside each of some layers: whole modules, magnitudes (DoRA), biases, or
    sums in the weights."""
    from peft.utils.other import AuxiliaryTrainingWrapper

    return any(
        isinstance(module, AuxiliaryTrainingWrapper)
        or (_is_lora(module) and (module.merged or module.lora_variant or any(module.lora_bias.values())))
        for module in network.modules()
    )
