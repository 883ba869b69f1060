"""Convert a GGUF file to a folder of transformers, in a process of its own whose memory is limited.

    python -m engine.models.catalogue.convert FILE.gguf FOLDER        # the folder must be absent

The weights are written as bfloat16. The folder can be loaded without the package gguf. The exit code is 1, with one sentence
on standard error, where the file cannot be converted.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

MEMORY = 6 * 1024**3
"""Bytes of data that the process may allocate; the conversion of SmolLM2 needs about 1 GiB."""


def main(arguments: list[str]) -> int:
    file, folder = map(Path, arguments)
    limit_memory(MEMORY)
    try:
        convert(file, folder)
    except MemoryError:
        print(f"the conversion needs more than {MEMORY // 1024**3} GiB of memory", file=sys.stderr)
        return 1
    except (OSError, ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        print(str(error).strip().split("\n")[0] or type(error).__name__, file=sys.stderr)
        return 1
    return 0


def limit_memory(size: int) -> None:
    """Let this process allocate at most `size` bytes, or fewer where a limit is set already."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def convert(file: Path, folder: Path) -> None:
    """Write the model and the tokenizer of a GGUF `file` into `folder`, as transformers saves them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    torch.set_num_threads(1)
    place: dict[str, str] = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    tokenizer: Any = AutoTokenizer.from_pretrained(**place)
    model: Any = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.bfloat16)
    del model.config.quantization_config  # the weights are not quantised any more
    model.hf_quantizer = None
    model.is_quantized = False
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
