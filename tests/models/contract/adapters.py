"""An adapter that changes what the curator says: `loud_adapter(weights, folder)` writes it to `folder`."""

import torch
from peft import LoraConfig, get_peft_model

from engine.models.local.settings import LocalModelSettings
from engine.models.local.weights import load_base
from tests.models.contract.backends import RANK


def loud_adapter(weights, folder):
    base = load_base(LocalModelSettings(weights=str(weights)))
    adapted = get_peft_model(base, LoraConfig(r=RANK, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.05)
    adapted.save_pretrained(folder)
