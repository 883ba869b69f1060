"""Tokens a second of the local backend: prompts that are read and answers that are drawn, as base and with an adapter.

    python -m tests.benchmarks.local_speed [--device cuda] [--shape Qwen/Qwen3-8B] [--batch 32] [--prompt 1400] [--answer 64]

A random model of Qwen3's kind. `--batch` prompts that share nothing join at once (`engine.models.local.decoding`), and
each row draws `--answer` tokens. The floor of a decoding step is the time in which the memory moves weights and caches, as
`skillos-engine plan` counts with; it is printed for a machine whose figures are known.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from engine.system.plan.machines import THIS, machine_of
from tests.benchmarks.random_model import add_arguments, device_name, random_model, shape_of

FIRST = 3
"""Decoding steps that are not timed: the first ones allocate memory."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--prompt", type=int, default=1400)
    parser.add_argument("--answer", type=int, default=64)
    parser.add_argument("--rank", type=int, default=32)
    arguments = parser.parse_args()
    for line in measured(arguments):
        print(line, flush=True)


def measured(arguments: argparse.Namespace) -> list[str]:
    """The lines of the table."""
    import torch

    from engine.config import load_profile
    from engine.models.local.attention import unplanned
    from engine.models.local.merging import Base
    from engine.training.network import trainable

    torch.set_num_threads(1)
    shape = shape_of(arguments)
    tokens = arguments.prompt + arguments.answer
    base = random_model(shape, arguments.device, arguments.dtype, tokens=tokens)
    number = 4 if arguments.dtype == "float32" else 2
    lines = [
        f"{shape.parameters / 1e9:.2f} G parameters, {arguments.dtype}, {arguments.batch} rows, prompts of "
        f"{arguments.prompt:,} tokens, answers of {arguments.answer}, {device_name(arguments.device)}"
    ]
    moved = shape.moved_bytes(number) + arguments.batch * tokens * shape.kv_bytes(number)
    if bandwidth := machine_of(THIS, arguments.device).bandwidth:
        lines.append(
            f"  floor of a decoding step by bandwidth: {moved / bandwidth * 1e3:.1f} ms ({moved / 1e9:.1f} GB)"
        )
    training = load_profile("pocket", [f"training.lora_rank={arguments.rank}"]).training
    with unplanned(base.device):
        lines.append(f"  base: {timed(base, arguments)}")
        network = trainable(base, training)
        lines.append(f"  with an adapter of rank {arguments.rank}: {timed(network, arguments)}")
        with Base(network).bare():
            lines.append(f"  base, with an adapter that is off: {timed(network, arguments)}")
    return lines


def timed(network: Any, arguments: argparse.Namespace) -> str:
    """Seconds of the prompts, and of a decoding step."""
    import torch

    from engine.models.base import Sampling
    from engine.models.local.decoding import Asked, Decoder

    vocabulary = network.get_input_embeddings().num_embeddings
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(vocabulary, (arguments.batch, arguments.prompt), generator=draw).tolist()
    sampling = Sampling(temperature=1.0)

    def decoder(prompts: Sequence[list[int]]) -> tuple[Any, list[Any]]:
        made = Decoder(network, Unread(), sampling, ends=(), model="benchmark")  # type: ignore[arg-type]
        return made, [Asked(row, seed, arguments.answer) for seed, row in enumerate(prompts)]

    warm, asked = decoder([row[:64] for row in ids[:2]])
    warm.advance(asked, Steps(2))
    made, asked = decoder(ids)
    wait(arguments.device)
    began = time.perf_counter()
    made.advance(asked, Steps(0))
    wait(arguments.device)
    prompts = time.perf_counter() - began
    made.advance((), Steps(FIRST))
    wait(arguments.device)
    began = time.perf_counter()
    steps = arguments.answer - FIRST - 2
    made.advance((), Steps(steps))
    wait(arguments.device)
    each = (time.perf_counter() - began) / steps
    return (
        f"prompts {arguments.batch * arguments.prompt / prompts:,.0f} tokens/s ({prompts:.2f} s), answers "
        f"{arguments.batch / each:,.0f} tokens/s ({each * 1e3:.1f} ms a step)"
    )


class Steps:
    """Interrupts a decoder after so many tokens of each row."""

    def __init__(self, count: int) -> None:
        self._left = count

    def __call__(self) -> bool:
        self._left -= 1
        return self._left < 0


class Unread:
    """A tokenizer whose texts nobody reads."""

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        return ""


def wait(device: str) -> None:
    """Until the GPU has done what it was given."""
    import torch

    if device != "cpu":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
