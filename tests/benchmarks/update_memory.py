"""The peak memory of a long update on this CPU, beside what the plan says.

    python -m tests.benchmarks.update_memory [--tokens 4096] [--answer 512] [--layers 9] [--hidden 1024] [--dtype bfloat16]
                                             [--no-checkpointing]

A random model of Qwen3's kind with its vocabulary of 151,936, 0.3 to 0.6 billion parameters, and two samples of the same
length, one a micro-batch. Two updates run in a process of its own: a short one, which makes the optimiser's state, and the
long one, whose largest resident set is compared. This process is not the engine: what it has before the model is
made takes the place of the plan's figures for the engine and the trainer's libraries.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from engine.config import Config, load_profile
from engine.system.memory import keep_freed
from engine.system.plan.parts import TRAINER, Model, total, trainer_parts
from engine.system.plan.serving import Serving
from engine.system.plan.shapes import Shape

VOCABULARY = 151_936
SHARE = 0.15
"""How far the measured peak may be from the plan."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--answer", type=int, default=512)
    parser.add_argument("--layers", type=int, default=9)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16"])
    parser.add_argument("--no-checkpointing", dest="checkpointing", action="store_false")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        keep_freed()
        print(json.dumps(measure(arguments)))
        return
    command = [sys.executable, "-m", "tests.benchmarks.update_memory", *sys.argv[1:], "--child"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    planned = found["libraries"] + planned_bytes(arguments)
    measured = found["peak"]
    print(
        f"{shape_of(arguments).parameters / 1e9:.2f} G parameters, {arguments.dtype}, {arguments.tokens:,} tokens, "
        f"checkpointing {'on' if arguments.checkpointing else 'off'}: measured {measured / 1e9:.2f} GB, planned "
        f"{planned / 1e9:.2f} GB ({planned / measured - 1:+.1%}); {found['seconds']:.0f} s of CPU, "
        f"{found['tokens'] / found['seconds']:,.0f} tokens/s"
    )
    sys.exit(abs(planned / measured - 1) > SHARE)


def config_of(arguments: argparse.Namespace) -> Config:
    """A step of two groups of two rollouts, of which one group is measured."""
    return load_profile(
        "pocket",
        [
            *("training.groups=1", "training.rollouts=2", "training.tasks=2", "training.lora_rank=32"),
            f"training.micro_batch_tokens={arguments.tokens}",
            f"training.gradient_checkpointing={json.dumps(arguments.checkpointing)}",
            f"training.threads={arguments.threads}",
            f"curator.max_prompt_tokens={arguments.tokens - arguments.answer}",
            f"curator.max_tokens={arguments.answer}",
        ],
    )


def shape_of(arguments: argparse.Namespace) -> Shape:
    """The shape of the random model; its parts have the proportions of Qwen3-0.6B."""
    hidden = arguments.hidden
    bare = Shape(
        layers=arguments.layers,
        hidden=hidden,
        query=2 * hidden,
        key_value=hidden,
        inner=3 * hidden,
        vocabulary=VOCABULARY,
        tied=True,
        parameters=0,
        source="random",
        head_norms=True,
    )
    return Shape(
        **{**{name: getattr(bare, name) for name in bare.__struct_fields__}, "parameters": bare.linear + bare.embedding}
    )


def planned_bytes(arguments: argparse.Namespace) -> float:
    """The peak of the model and its update, without the process and its libraries."""
    number = 4.0 if arguments.dtype == "float32" else 2.0
    shape = shape_of(arguments)
    serving = Serving("local", "process", ("curator",), "random", arguments.tokens, number=number)
    return shape.weight_bytes(number) + total(trainer_parts(config_of(arguments), Model(serving, shape))) - TRAINER


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """A long update after a short one in this process: its largest resident set in bytes, and its seconds of CPU."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from engine.training.network import trainable
    from engine.training.samples import TrainingSample
    from engine.training.update import Updater

    torch.set_num_threads(arguments.threads)
    libraries = resident("VmRSS")
    shape = shape_of(arguments)
    torch.set_default_dtype(getattr(torch, arguments.dtype))
    base: Any = Qwen3ForCausalLM(  # type: ignore[no-untyped-call]
        Qwen3Config(
            vocab_size=VOCABULARY,
            hidden_size=shape.hidden,
            intermediate_size=shape.inner,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.query // 128,
            num_key_value_heads=shape.key_value // 128,
            head_dim=128,
            tie_word_embeddings=True,
            max_position_embeddings=arguments.tokens,
        )
    )
    torch.set_default_dtype(torch.float32)
    config = config_of(arguments)
    updater = Updater(trainable(base, config.training), config, corrects=False)
    ids = torch.randint(VOCABULARY, (4, arguments.tokens), generator=torch.Generator().manual_seed(1)).tolist()

    def samples(tokens: int) -> list[TrainingSample]:
        """Two rollouts of two positions, the second of which has no token to train on and does not go through the
        network."""
        prompt = tokens - arguments.answer
        return [
            TrainingSample(
                row[:prompt],
                row[prompt:tokens],
                [-1.0] * arguments.answer,
                [int(number % 2 == 0)] * arguments.answer,
                1.0 * (number > 1),
            )
            for number, row in enumerate(ids)
        ]

    updater.update(samples(2 * arguments.answer), 1)
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins again
    began = time.process_time()
    made = updater.update(samples(arguments.tokens), 2)
    seconds = time.process_time() - began
    return {
        "peak": resident("VmHWM"),
        "libraries": libraries,
        "seconds": seconds,
        "tokens": made.sequence_tokens or 0,
    }


def resident(name: str) -> int:
    """Bytes of this process: VmRSS is its resident set, VmHWM the largest one."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
