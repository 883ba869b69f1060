"""Train the pocket model from nothing.

    python -m engine.recipes.pocket.train --out DIR [--lives 6000] [--ranks 4] [--seed 1]

Data-parallel over `--ranks` processes of one thread each, which is how a model this small uses a CPU best. Writes the
weights (float16 safetensors), the configuration, the tokenizer and `recipe.json` (what was run, and the losses).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from engine.core.seeds import stream
from engine.recipes.pocket.corpus import Chat, chats
from engine.recipes.pocket.muon import Muon
from engine.recipes.pocket.tokenizer import train_tokenizer

VOCABULARY = 1024
PROMPT_WEIGHT = 0.2
LEARNING_RATES = {"muon": 2e-2, "adamw": 3e-3}  # of the matrices; of embeddings and norms
WARM_UP = 60
BATCH_TOKENS = 1536  # of one rank
TOKENIZER_LIVES = range(-200, 0)


class Example:
    """Token ids and the loss weight of each, as arrays of one length."""

    def __init__(self, prompt: list[int], reply: list[int]) -> None:
        self.ids = np.array(prompt + reply, dtype=np.int64)
        self.weights = np.array([PROMPT_WEIGHT] * len(prompt) + [1.0] * len(reply), dtype=np.float32)


def model_config(tokenizer: PreTrainedTokenizerFast) -> Qwen3Config:
    """The Qwen3 shape at pocket size, about 0.83M parameters."""
    return Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )


def render(chat: Chat, tokenizer: PreTrainedTokenizerFast) -> tuple[str, str]:
    """The prompt's and the reply's text, control tokens included."""
    messages = [{"role": message.role, "content": message.content} for message in chat.messages]
    tools: list[Any] | None = chat.tools
    prompt = tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=True, tokenize=False)
    return str(prompt), chat.reply + "<|im_end|>"


def examples(lives: range, seed: int, tokenizer: PreTrainedTokenizerFast) -> Iterator[Example]:
    """The examples of `lives`."""
    for chat in chats(lives, seed):
        prompt, reply = render(chat, tokenizer)
        yield Example(*(tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, reply)))


def batches(source: Iterator[Example], seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Padded (ids, weights) of about `BATCH_TOKENS`, examples of like length together, in random order."""
    rng = stream("batches", seed)
    while pool := list(itertools.islice(source, 4000)):
        rng.shuffle(pool)
        pool.sort(key=lambda example: len(example.ids) // 8)
        groups: list[list[Example]] = [[]]
        for example in pool:
            if (len(groups[-1]) + 1) * len(example.ids) > BATCH_TOKENS:
                groups.append([])
            groups[-1].append(example)
        rng.shuffle(groups)
        for group in groups:
            width = max(len(example.ids) for example in group)
            ids, weights = np.zeros((len(group), width), np.int64), np.zeros((len(group), width), np.float32)
            for row, example in enumerate(group):
                ids[row, : len(example.ids)] = example.ids
                weights[row, : len(example.ids)] = example.weights
            yield torch.from_numpy(ids), torch.from_numpy(weights)


def loss_of(model: Qwen3ForCausalLM, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean next-token cross-entropy in nats; padding is on the right and has weight 0."""
    logits = model(input_ids=ids[:, :-1]).logits
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    flat = weights[:, 1:].flatten()
    return (losses * flat).sum() / flat.sum()


def train(rank: int, arguments: argparse.Namespace) -> None:
    """One rank's share of the training; rank 0 reports and saves."""
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    dist.init_process_group("gloo", init_method=f"file://{arguments.out}/.ranks", rank=rank, world_size=arguments.ranks)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(arguments.out)
    model = Qwen3ForCausalLM(model_config(tokenizer))
    optimizers = _optimizers(model)
    lives = range(rank, arguments.lives, arguments.ranks)
    source = batches(examples(lives, arguments.seed, tokenizer), arguments.seed)
    began, tokens, losses = time.monotonic(), 0, []
    for step in itertools.count():
        batch = next(source, None)
        if not _all_have(batch is not None):
            break
        assert batch is not None
        share = _share(step, tokens * arguments.ranks, arguments.lives)
        for name, optimizer in optimizers.items():
            optimizer.param_groups[0]["lr"] = LEARNING_RATES[name] * share
        loss = loss_of(model, *batch)
        model.zero_grad()
        loss.backward()
        _average(model, arguments.ranks)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers.values():
            optimizer.step()
        tokens += int(batch[1].count_nonzero())
        losses.append(loss.item())
        if rank == 0 and step % 50 == 0:
            mean = sum(losses[-50:]) / len(losses[-50:])
            print(
                f"step {step} loss {mean:.3f} tokens {tokens * arguments.ranks:,} {time.monotonic() - began:.0f} s",
                flush=True,
            )
    if rank == 0:
        seconds = round(time.monotonic() - began)
        save(
            model,
            Path(arguments.out),
            vars(arguments)
            | {
                "steps": len(losses),
                "tokens": tokens * arguments.ranks,
                "seconds": seconds,
                "loss": round(sum(losses[-50:]) / 50, 4),
            },
        )
    dist.destroy_process_group()


def save(model: Qwen3ForCausalLM, out: Path, recipe: dict[str, object]) -> None:
    """Write the weights in float16 and what was run."""
    model.half().save_pretrained(out)
    recipe["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    (out / "recipe.json").write_text(json.dumps({**recipe, "out": ""}, indent=2) + "\n")


TOKENS_A_LIFE = 2400


def _optimizers(model: Qwen3ForCausalLM) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices between the embeddings, AdamW for the rest."""
    inner = [parameter for name, parameter in model.named_parameters() if parameter.ndim == 2 and "embed" not in name]
    chosen = {id(parameter) for parameter in inner}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
    return {
        "muon": Muon(inner, LEARNING_RATES["muon"]),
        "adamw": torch.optim.AdamW(rest, LEARNING_RATES["adamw"], betas=(0.9, 0.98), weight_decay=0.01),
    }


def _share(step: int, tokens: int, lives: int) -> float:
    """The share of the learning rate: linear warm-up, then a cosine to a twentieth over the tokens expected of `lives`."""
    done = min(1.0, tokens / (lives * TOKENS_A_LIFE))
    return min(1.0, (step + 1) / WARM_UP) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def _all_have(mine: bool) -> bool:
    """Whether every rank still has a batch."""
    flag = torch.tensor(int(mine))
    dist.all_reduce(flag, dist.ReduceOp.MIN)
    return bool(flag.item())


def _average(model: Qwen3ForCausalLM, ranks: int) -> None:
    """Average the gradients over the ranks, in one message."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient) / ranks)


def _texts(seed: int) -> Iterator[str]:
    """What the tokenizer learns from: the chats' words, and the words of the chat template around them."""
    for chat in chats(TOKENIZER_LIVES, seed):
        yield from (f"{message.role}\n{message.content}" for message in chat.messages)
        yield f"assistant\n{chat.reply}"
        for tool in chat.tools or []:
            yield f"{tool['function']['name']}({', '.join(tool['function']['parameters']['properties'])})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--lives", type=int, default=6000)
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    out = Path(arguments.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    (out / ".ranks").unlink(missing_ok=True)
    arguments.out = str(out)
    train_tokenizer(_texts(arguments.seed), VOCABULARY).save_pretrained(out)
    torch.multiprocessing.spawn(train, args=(arguments,), nprocs=arguments.ranks)  # type: ignore[attr-defined]
    (out / ".ranks").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
