"""The peak memory of a long update on this CPU or on a GPU, beside what the plan says.

    python -m tests.benchmarks.update_memory [--tokens 4096] [--answer 512] [--layers 9] [--hidden 1024] [--dtype bfloat16]
                                             [--no-checkpointing]
    python -m tests.benchmarks.update_memory --device cuda --shape Qwen/Qwen3-8B --tokens 16384

A random model of Qwen3's kind with its vocabulary of 151,936, by default of 0.3 to 0.6 billion parameters, and two samples
of the same length, one a micro-batch. Two updates run in a process of its own: a short one, which makes the optimiser's
state, and the long one, whose peak is compared.

On a CPU that is the largest resident set. This process is not the engine: what it has before the model is made takes
the place of the plan's figures for the engine and the trainer's libraries. On a GPU it is the most that PyTorch had
reserved, and what NVML says that the process has beside that after the update; where NVML does not list the process, what
it added to the GPU's use. PyTorch's own peaks stand beside it, without the CUDA context.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from engine.config import Config, load_profile
from engine.system.memory import keep_freed
from engine.system.plan.parts import CONTEXT, Model, Part, total, trainer_parts
from engine.system.plan.serving import Serving
from tests.benchmarks.random_model import VOCABULARY, add_arguments, device_name, gpu_bytes, random_model, shape_of

SHARE, GPU_SHARE = 0.15, 0.10
"""How far the measured peak may be from the plan."""
LIBRARIES = "trainer's libraries"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--answer", type=int, default=512)
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
    on_gpu = arguments.device != "cpu"
    parts = planned_parts(arguments)
    planned = found["libraries"] + total(parts)
    measured = found["peak"]
    print(
        f"{shape_of(arguments).parameters / 1e9:.2f} G parameters, {arguments.dtype}, {arguments.tokens:,} tokens, answers "
        f"of {arguments.answer:,}, checkpointing {'on' if arguments.checkpointing else 'off'}, {found['device']}: "
        f"measured {measured / 1e9:.2f} GB, planned {planned / 1e9:.2f} GB ({planned / measured - 1:+.1%}); "
        f"{found['seconds']:.1f} s{'' if on_gpu else ' of CPU'}, {found['tokens'] / found['seconds']:,.0f} tokens/s"
    )
    if on_gpu:
        alone = planned - CONTEXT
        print(
            f"  PyTorch: allocated {found['allocated'] / 1e9:.2f} GB at most (planned {alone / 1e9:.2f} GB, "
            f"{alone / found['allocated'] - 1:+.1%}), reserved {found['reserved'] / 1e9:.2f} GB; context and libraries "
            f"{found['context'] / 1e9:.2f} GB; before the update: weights {found['weights'] / 1e9:.2f} GB, adapter and "
            f"optimiser {found['adapter'] / 1e9:.2f} GB; measured by {found['source']}"
        )
    for part in parts:
        print(f"  {(part.bytes or 0.0) / 1e9:6.2f} GB  {part.name}: {part.how}")
    sys.exit(abs(planned / measured - 1) > (GPU_SHARE if on_gpu else SHARE))


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


def planned_parts(arguments: argparse.Namespace) -> list[Part]:
    """The parts of the peak: on a GPU those in its memory, else those of the model and its update, without libraries."""
    number = 4.0 if arguments.dtype == "float32" else 2.0
    shape = shape_of(arguments)
    serving = Serving("local", "process", ("curator",), "random", arguments.tokens, arguments.device, number=number)
    weights = Part("weights", shape.weight_bytes(number), f"{number:g} bytes a number", device=serving.device != "cpu")
    context = Part("CUDA context", CONTEXT, "context, kernels, workspaces", device=True)
    parts = [weights, *trainer_parts(config_of(arguments), Model(serving, shape))]
    if serving.device != "cpu":
        parts.append(context)
    return [part for part in parts if (part.device if serving.device != "cpu" else part.name != LIBRARIES)]


def measure(arguments: argparse.Namespace) -> dict[str, float | str]:
    """A long update after a short one in this process: its peak in bytes, and its seconds: of the CPU, or on a GPU of the
    clock."""
    import torch

    from engine.training.network import trainable
    from engine.training.samples import TrainingSample
    from engine.training.update import Updater

    torch.set_num_threads(arguments.threads)
    on_gpu = arguments.device != "cpu"
    libraries = 0 if on_gpu else resident("VmRSS")
    used_before = gpu_bytes()[1] if on_gpu else None
    base = random_model(shape_of(arguments), arguments.device, arguments.dtype, tokens=arguments.tokens)
    weights = torch.cuda.memory_allocated() if on_gpu else 0
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
    found: dict[str, float | str] = {"libraries": libraries, "device": device_name(arguments.device)}
    if not on_gpu:
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins again
        began = time.process_time()
        made = updater.update(samples(arguments.tokens), 2)
        seconds = time.process_time() - began
        return {**found, "peak": resident("VmHWM"), "seconds": seconds, "tokens": made.sequence_tokens or 0}
    torch.cuda.synchronize()
    adapter = torch.cuda.memory_allocated() - weights
    torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    made = updater.update(samples(arguments.tokens), 2)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    own, used = gpu_bytes()
    reserved = torch.cuda.max_memory_reserved()
    context = (own if own is not None else (used or 0) - (used_before or 0)) - torch.cuda.memory_reserved()
    return {
        **found,
        "peak": context + reserved,
        "source": "NVML, this process" if own is not None else "NVML, what the GPU has more in use than before",
        "allocated": torch.cuda.max_memory_allocated(),
        "reserved": reserved,
        "context": context,
        "weights": weights,
        "adapter": adapter,
        "seconds": seconds,
        "tokens": made.sequence_tokens or 0,
    }


def resident(name: str) -> int:
    """Bytes of this process: VmRSS is its resident set, VmHWM the largest one."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
