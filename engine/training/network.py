"""The network that is trained: the base with a new LoRA adapter on it, or with `training.method=full` a copy of the base.

network = trainable(base, training)           # `base` gets the adapter, or stays as it is
trained(network)                              # the weights that the optimiser changes, in 32 bits
with reference(network, base) as frozen: ...  # the causal model that answers as the base
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.nn import Parameter

from engine.models.local.weights import copy_of, forked_generators
from engine.training.settings import TrainingSettings


def trainable(base: Any, training: TrainingSettings) -> Any:
    """The base with an adapter (`PeftModel`) whose first weights are drawn from `training.seed`, in 32 bits; or a copy of
    the base, all weights of which are trained, and computed with, in 32 bits."""
    if training.method == "full":
        return copy_of(base).requires_grad_(True)
    adapter = LoraConfig(
        r=training.lora_rank,
        lora_alpha=training.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with forked_generators():
        torch.manual_seed(training.seed)
        return get_peft_model(base, adapter).eval()


def causal_of(network: Any) -> Any:
    """The causal model of transformers in the network."""
    return network.get_base_model() if hasattr(network, "get_base_model") else network


def trained(network: Any) -> list[Parameter]:
    """The weights that are trained, always in the same order."""
    return [weight for weight in network.parameters() if weight.requires_grad]


@contextmanager
def reference(network: Any, base: Any = None) -> Iterator[Any]:
    """The causal model of transformers that answers as the base in here: `base`, or the network without its adapter."""
    if not hasattr(network, "disable_adapter"):
        yield network if base is None else base
        return
    with network.disable_adapter():
        yield causal_of(network)
