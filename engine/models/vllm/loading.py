"""Loading the trainer's own base beside a server; imports torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers.utils import logging as transformers_logging

from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer
from engine.models.local.weights import load_base
from engine.models.vllm.reference import Reference


def load_reference(settings: LocalModelSettings, report: Callable[[str], None]) -> Reference:
    """The base on the trainer's device. Raises `ConfigError`."""
    torch.set_num_threads(settings.threads)
    transformers_logging.disable_progress_bar()
    return Reference(load_base(settings), load_tokenizer(settings))
