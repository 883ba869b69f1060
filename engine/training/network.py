"""The network that is trained: the base with a new LoRA adapter on it, or the base itself.

network = trainable(base, training)           # `base` is changed
trained(network)                              # the weights that the optimiser changes, in 32 bits
with reference(network): ...                  # its answers are those of the base
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.nn import Parameter

from engine.training.settings import TrainingSettings


def trainable(base: Any, training: TrainingSettings) -> Any:
    """The base with an adapter (`PeftModel`) whose first weights are drawn from `training.seed`, in 32 bits."""
    adapter = LoraConfig(
        r=training.lora_rank,
        lora_alpha=training.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        return get_peft_model(base, adapter).eval()


def causal_of(network: Any) -> Any:
    """The causal model of transformers in the network."""
    return network.get_base_model() if hasattr(network, "get_base_model") else network


def trained(network: Any) -> list[Parameter]:
    """The weights that are trained, always in the same order."""
    return [weight for weight in network.parameters() if weight.requires_grad]


def reference(network: Any) -> AbstractContextManager[Any]:
    """The network answers as the base while the context is open."""
    if not hasattr(network, "disable_adapter"):
        return nullcontext()
    disabled: AbstractContextManager[Any] = network.disable_adapter()
    return disabled
