"""Opening the local backend, and PyTorch as it needs it: `open_models(config.model, adapter=None, report=print)`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from engine.models.base import Opened
from engine.models.local.models import LocalModels
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer
from engine.models.local.weights import load_base


def open_models(settings: LocalModelSettings, adapter: Path | None, report: Callable[[str], None]) -> Opened:
    """The models, the curator being `adapter` or untrained. Raises `ConfigError`; `report(what)` precedes each slow part."""
    torch.set_num_threads(settings.threads)  # contended threads are far slower than few
    transformers_logging.disable_progress_bar()
    report("the tokenizer")
    tokenizer = load_tokenizer(settings)
    report("the pocket model" if settings.weights == "pocket" else f"the model {settings.weights}")
    local = LocalModels(load_base(settings), tokenizer, max_batch=settings.max_batch, context=settings.context)
    if adapter is not None:
        report(f"the adapter {adapter.name}")
        local.put(adapter)
    return Opened(local.models, sink=local, base=local)
