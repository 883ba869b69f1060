"""Folders with tiny models of random weights, one for each architecture, as transformers saves them.

    folder = make("gemma", tmp_path)             # config.json, weights, the pocket tokenizer with a template of its own

Each chat template shows one peculiarity of its family, in the fewest words that show it.
"""

from __future__ import annotations

import torch
from transformers import (
    BloomConfig,
    Gemma3TextConfig,
    GenerationConfig,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from tests.models import small

TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
ANSWER = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
PLAIN = TURNS + ANSWER
THINKING = PLAIN + (
    "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
)
BEGUN = "{{ bos_token }}" + PLAIN
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]{% else %}{{ m.content }}</s>{% endif %}{% endfor %}"
)
PHI = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
WIDTH = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
HEADS = {**WIDTH, "num_key_value_heads": 1, "max_position_embeddings": 512}

KINDS = {
    "llama": (LlamaConfig, {**HEADS, "tie_word_embeddings": True}, BEGUN, ["<begin>"]),
    "qwen2": (Qwen2Config, {**HEADS, "use_sliding_window": False, "sliding_window": 4}, THINKING, []),
    "gemma": (
        Gemma3TextConfig,
        {**HEADS, "head_dim": 16, "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]},
        GEMMA,
        ["<begin>", "<start_of_turn>", "<end_of_turn>"],
    ),
    "mistral": (MistralConfig, {**HEADS, "sliding_window": 4}, MISTRAL, ["<begin>", "[INST]", "[/INST]", "</s>"]),
    "phi3": (Phi3Config, {**HEADS, "sliding_window": None}, PHI, ["<|user|>", "<|assistant|>", "<|end|>"]),
    "gpt2": (GPT2Config, {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 512}, PLAIN, []),
    "bloom": (BloomConfig, {"hidden_size": 32, "n_layer": 2, "n_head": 2}, PLAIN, []),
    "mamba": (MambaConfig, {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}, PLAIN, []),
}
"""Configuration, its arguments, chat template and control tokens by name."""


def make(name, folder, *, chats=True, generation=None):
    """The folder `folder / name` with a model of `KINDS`. `generation` is what its generation_config.json says.

    Without `chats` it has no chat template.
    """
    config, arguments, template, control = KINDS[name]
    tokenizer = small.tokenizer()
    if control:
        tokenizer.add_special_tokens({"additional_special_tokens": control})
    if "<begin>" in control:
        tokenizer.bos_token = "<begin>"
    if "</s>" in control:
        tokenizer.eos_token = "</s>"
    tokenizer.chat_template = template if chats else None
    with torch.random.fork_rng():
        torch.manual_seed(0)
        special = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        model = AutoModelForCausalLM.from_config(
            config(vocab_size=len(tokenizer), initializer_range=0.35, **arguments, **special)
        )
    model.generation_config = GenerationConfig(**(generation or {}))
    model.save_pretrained(folder / name)
    tokenizer.save_pretrained(folder / name)
    return folder / name
