"""Adapters for the pocket model that no trainer made: `small_adapter(folder)`, `checkpoint_of(run, 3, value=0.5)`."""

import json

import numpy as np
from safetensors.numpy import save_file

from engine.core.events import CheckpointSaved
from engine.training.origin import origin_of, write

MODULE = "base_model.model.model.layers.{layer}.self_attn.{module}"


def small_adapter(folder, *, value=0.1, rank=2, inputs=128, outputs=256, layer=0, module="q_proj"):
    """A LoRA adapter on one linear layer, by default one that the pocket model has."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"peft_type": "LORA", "r": rank, "lora_alpha": 16, "target_modules": [module], "task_type": "CAUSAL_LM"}
    about |= {"layers_to_transform": [layer], "layers_pattern": "layers"}
    (folder / "adapter_config.json").write_text(json.dumps(about))
    name = MODULE.format(layer=layer, module=module)
    tensors = {
        f"{name}.lora_A.weight": np.full((rank, inputs), value, np.float32),
        f"{name}.lora_B.weight": np.full((outputs, rank), value, np.float32),
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def checkpoint_of(run, step, **more):
    """An adapter as the checkpoint of `step` of a run, with what it was made from."""
    folder = small_adapter(run.checkpoints / f"step-{step:04d}", **more)
    write(folder, origin_of(run.config), step)
    run.append(CheckpointSaved(step, str(folder), 1))
    return folder
