"""A Qwen3 of a few thousand parameters with random weights, so that tests depend on no training.

The tokenizer is the shipped one; the weights are spread wide, so that the model is sure of some tokens and not of others.
"""

import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen3Config, Qwen3ForCausalLM

from engine.models.local.models import LocalModels
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer


def tokenizer():
    return load_tokenizer(LocalModelSettings())


def lent(model=None):
    """The policy and the sink of a training session over a small model."""
    local = LocalModels(base() if model is None else model, tokenizer(), context=20480)
    return local, local


def base(seed=0):
    """A model in evaluation; the same seed gives the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=len(tokenizer()),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=16,
                tie_word_embeddings=False,
                initializer_range=0.35,
            )
        ).eval()


def with_adapter(model, seed=1):
    """`model` wrapped in a LoRA adapter that changes what it says: its B matrices are not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.5)
    return adapted.eval()
