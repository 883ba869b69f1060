"""A model of Qwen3's kind with random weights, made on its device, and the GPU that it is on.

shape = shape_of(arguments)                     # what `add_arguments` added: --shape, or --layers and --hidden
base = random_model(shape, "cuda", "bfloat16", tokens=16_384)
device_name("cuda"), gpu_bytes()                # "NVIDIA H100 80GB HBM3", what NVML says that this process has
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from engine.system.memory.gpu import Gpus
from engine.system.memory.sources import Sources
from engine.system.plan import shapes
from engine.system.plan.shapes import Shape

VOCABULARY = 151_936
HEAD = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which model, and where."""
    parser.add_argument("--device", default="cpu", help="torch's name of a device")
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16"])
    parser.add_argument("--shape", default="", help="the published shape of a Qwen3, such as Qwen/Qwen3-8B")
    parser.add_argument("--layers", type=int, default=0, help="9, or as many as --shape has")
    parser.add_argument("--hidden", type=int, default=1024, help="not with --shape")


def shape_of(arguments: argparse.Namespace) -> Shape:
    """A published shape, or one whose parts have the proportions of Qwen3-0.6B; with as many layers as were asked for."""
    hidden = arguments.hidden
    if arguments.shape:
        found = shapes.shape_of(arguments.shape)
        fields = {name: getattr(found, name) for name in found.__struct_fields__}
    else:
        fields = {"layers": 9, "hidden": hidden, "query": 2 * hidden, "key_value": hidden, "inner": 3 * hidden}
        fields |= {"vocabulary": VOCABULARY, "tied": True, "head_norms": True}
    fields |= {"layers": arguments.layers or fields["layers"], "source": "random"}
    bare = Shape(**{**fields, "parameters": 0})
    return Shape(**{**fields, "parameters": bare.linear + bare.embedding * (1 if bare.tied else 2)})


def random_model(shape: Shape, device: str, dtype: str, *, tokens: int) -> Any:
    """The model in evaluation, whose weights never were on another device. It can read `tokens` tokens."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            made: Any = Qwen3ForCausalLM(  # type: ignore[no-untyped-call]
                Qwen3Config(
                    vocab_size=shape.vocabulary,
                    hidden_size=shape.hidden,
                    intermediate_size=shape.inner,
                    num_hidden_layers=shape.layers,
                    num_attention_heads=shape.query // HEAD,
                    num_key_value_heads=shape.key_value // HEAD,
                    head_dim=HEAD,
                    tie_word_embeddings=shape.tied,
                    max_position_embeddings=tokens,
                )
            )
    finally:
        torch.set_default_dtype(before)
    return made.eval()


def device_name(device: str) -> str:
    """The GPU's name, or "the CPU"."""
    import torch

    return "the CPU" if device == "cpu" else torch.cuda.get_device_name(device)


def gpu_bytes() -> tuple[int | None, int | None]:
    """What this process has on all GPUs by NVML, None where NVML does not list it; and what is used on them in all."""
    devices = Gpus(Sources()).read().devices
    own = [size for device in devices if (size := device.processes.get(os.getpid())) is not None]
    used = [device.used for device in devices if device.used is not None]
    return sum(own) if own else None, sum(used) if used else None
