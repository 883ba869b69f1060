"""Teach SmolLM2 to write tool calls: a few steps of supervised LoRA training, merged into the base.

    python -m engine.recipes.smol.train BASE FOLDER [--examples 48] [--steps 12] [--threads 1] [--seed 1]

`BASE` is a folder of transformers, `FOLDER` is made. The loss is the mean cross-entropy of the answers' tokens. The merged
weights are saved as bfloat16, so that the result is a base model like any other, and `recipe.json` says what was run.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from engine.models.tools import with_tools
from engine.recipes.smol.examples import Example, examples
from engine.skills import TOOLS

LEARNING_RATE = 1e-3
RANK, ALPHA = 16, 32
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
IGNORED = -100
"""The label of a token that has no loss."""


def train(base: Path, folder: Path, *, count: int, steps: int, threads: int, seed: int) -> dict[str, Any]:
    """Write the tuned model to `folder`, and return what `recipe.json` says."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    network: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    layers = range(network.config.num_hidden_layers // 2, network.config.num_hidden_layers)
    adapter = LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=TARGETS, layers_to_transform=list(layers), task_type="CAUSAL_LM"
    )
    network = get_peft_model(network, adapter).train()
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, LEARNING_RATE, weight_decay=0.0)
    rows = [encoded(tokenizer, example) for example in examples(count, seed)]
    prefix = shared_prefix([prompt for prompt, _ in rows])
    batch = -(-count // steps)
    losses: list[float] = []
    started = time.process_time()
    for step in range(steps):
        chosen = [rows[(step * batch + offset) % count] for offset in range(batch)]
        loss = loss_of(network, prefix, chosen, tokenizer.pad_token_id)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(round(loss.item(), 4))
        print(f"step {step + 1} of {steps}: loss {losses[-1]:.3f}", flush=True)
    seconds = time.process_time() - started
    merged = network.merge_and_unload()
    folder.mkdir(parents=True)
    merged.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    said = {
        "recipe": "engine.recipes.smol",
        "examples": count,
        "steps": steps,
        "seed": seed,
        "losses": losses,
        "cpu_seconds": round(seconds, 1),
    }
    (folder / "recipe.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return said


def encoded(tokenizer: Any, example: Example) -> tuple[list[int], list[int]]:
    """The token ids of the prompt, as the local backend renders it, and those of the answer with its end."""
    chat = [
        {"role": message.role, "content": message.content} for message in with_tools(example.messages, TOOLS)
    ]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    asked, answered = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, example.reply)
    )
    return asked, [*answered, tokenizer.eos_token_id]


def shared_prefix(prompts: Sequence[list[int]]) -> list[int]:
    """The tokens that all prompts begin with: rules and tools, most of each prompt."""
    return os.path.commonprefix(prompts)


def loss_of(network: Any, prefix: list[int], rows: Sequence[tuple[list[int], list[int]]], pad: int) -> Any:
    """The mean cross-entropy, in nats, of the answers' tokens. The prefix goes through the network once for all rows, and
    without a gradient, which makes a step three times as fast."""
    with torch.no_grad():
        past = network(input_ids=torch.tensor([prefix]), use_cache=True, logits_to_keep=1).past_key_values
    past.batch_repeat_interleave(len(rows))
    ids, labels, mask = padded([(prompt[len(prefix) :], answer) for prompt, answer in rows], pad)
    mask = torch.cat([torch.ones(len(rows), len(prefix), dtype=mask.dtype), mask], dim=1)
    places = (mask.cumsum(dim=1) - 1)[:, len(prefix) :]
    kept = max(len(answer) for _, answer in rows) + 1
    logits = network(
        input_ids=ids, attention_mask=mask, position_ids=places, past_key_values=past, logits_to_keep=kept
    ).logits
    return torch.nn.functional.cross_entropy(logits[:, :-1].float().flatten(0, 1), labels[:, 1 - kept :].flatten())


def padded(
    rows: Sequence[tuple[list[int], list[int]]], pad: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, labels and attention mask of one batch, each of shape [rows, longest], padded on the left."""
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.full((len(rows), width), pad)
    labels = torch.full((len(rows), width), IGNORED)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for number, (prompt, answer) in enumerate(rows):
        start = width - len(prompt) - len(answer)
        ids[number, start:] = torch.tensor(prompt + answer)
        labels[number, width - len(answer) :] = torch.tensor(answer)
        mask[number, start:] = 1
    return ids, labels, mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--examples", type=int, default=48)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    transformers_logging.disable_progress_bar()
    train(
        options.base,
        options.folder,
        count=options.examples,
        steps=options.steps,
        threads=options.threads,
        seed=options.seed,
    )


if __name__ == "__main__":
    main()
