"""The settings of the vLLM backend."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.core.fields import Count, NonNegative, PathOrName, Seconds, UserPath
from engine.models.catalogue.store import is_name
from engine.models.limits.settings import LimitedSettings


class VllmModelSettings(LimitedSettings, frozen=True, tag="vllm"):
    """One base model on a vLLM server: the executor is the base, the curator a LoRA adapter on the same weights. The engine
    starts a server and stops it, or uses one that runs. An executor with other weights (such as FP8) is a server of its
    own, in [executor_model]."""

    weights: PathOrName = "pocket"
    """`pocket` (shipped), a name that `skillos-engine models list` shows, a folder with a model, or the name of one on the
    Hugging Face hub. The trainer loads the same."""

    url: str = ""
    """The address of a server that runs, such as http://127.0.0.1:8000; "" starts one."""

    name: str = ""
    """The base's model name on the server at `url`; "" is the first that it lists."""

    key: str = ""
    """The name of the key that the server at `url` wants: of an environment variable, or of an entry of the keyring (keyring
    set skillos-tui NAME). "": it wants none."""

    python: UserPath = ""
    """The Python whose packages have vllm, such as .vllm-venv/bin/python; "" is the engine's own."""

    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """The type of the server's weights. It must be what the model can use; `auto` is that of its files."""

    quantization: str = ""
    """vLLM's name of a quantization that is done when the weights are loaded, such as fp8; "" for none, or for weights that
    are quantized already. It is refused for the curator of a train run, whose weights the trainer has in full."""

    context: Count = 0
    """The most tokens of a prompt and its answer together, not more than the model can read. 0: what it can read, as far as
    the key-value cache holds it, or what the server at `url` takes."""

    kv_cache_gib: NonNegative = 8.0
    """The memory of the key-value cache in GiB; 0 leaves it to vLLM, which takes most of what the device has."""

    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """The port of the server on 127.0.0.1; 0 is a free one."""

    tool_parser: str = ""
    """vLLM's name of a parser that takes tool calls out of the text; "" leaves them in it, which is what is trained."""

    arguments: str = ""
    """More command line arguments for vLLM, as in a shell."""

    start_seconds: Seconds = 900.0
    """How long the server may take to start."""

    restarts: Count = 3
    """How often in an hour a server that ended is started again. After that the run is paused until a person resumes it."""

    stall_seconds: NonNegative = 180.0
    """A server counts as stalled when requests wait and its tokens do not grow for so long, or when it does not report its
    metrics for so long; 0: never."""

    on_stall: Literal["restart", "wait"] = "restart"
    """What is done with a stalled server: `restart` it, or `wait` until its tokens grow, the run being paused."""

    device: str = "cpu"
    """torch's name of the device of the trainer's own base: cpu, cuda, cuda:1."""

    trainer_dtype: Literal["float32", "bfloat16"] = "float32"
    """The type of the weights of the trainer's own base."""

    threads: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1
    """How many CPU threads the trainer uses, and a server on a CPU."""

    def absolute(self) -> VllmModelSettings:
        absolute = super().absolute()
        return msgspec.structs.replace(absolute, weights=self.weights) if is_name(self.weights) else absolute
