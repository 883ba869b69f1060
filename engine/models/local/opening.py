"""Opening the local backend, and PyTorch as it needs it: `await open_models(config.model, Opening(report=print))`."""

from __future__ import annotations

import asyncio

import torch
from transformers.utils import logging as transformers_logging

from engine.core.events import Notice
from engine.models.base import Opened, Opening
from engine.models.local.decoding import decodes
from engine.models.local.files import check_context, unloadable
from engine.models.local.loglikelihood import reads_trees
from engine.models.local.models import LocalModels
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer
from engine.models.local.weights import load_base


async def open_models(settings: LocalModelSettings, opening: Opening) -> Opened:
    """The models, loaded in a thread. What a user must know of how they are asked is emitted as a notice, once, when they
    are first asked so. Raises `ConfigError`."""
    return await asyncio.to_thread(_load, settings, opening)


def _load(settings: LocalModelSettings, opening: Opening) -> Opened:
    torch.set_num_threads(settings.threads)  # contended threads are far slower than few
    transformers_logging.disable_progress_bar()
    opening.report("the tokenizer")
    tokenizer = load_tokenizer(settings)
    opening.report("the pocket model" if settings.weights == "pocket" else f"the model {settings.weights}")
    base = load_base(settings)
    context = check_context(settings, base.config.to_dict())
    tokens = base.get_input_embeddings().num_embeddings
    if tokenizer.eos_token_id >= tokens:
        raise unloadable(
            settings,
            f"its tokenizer ends an answer with the token {tokenizer.eos_token_id}, and the model has {tokens}",
        )
    trees = reads_trees(base)
    local = LocalModels(
        base,
        tokenizer,
        max_batch=settings.max_batch,
        context=context,
        trees=trees,
        joins=decodes(base, trees=trees),
        notice=lambda sentence: opening.emit(Notice("warning", f"model.weights={settings.weights}: {sentence}")),
    )
    if opening.adapter is not None:
        opening.report(f"the trained weights of {opening.adapter.name}")
        local.put(opening.adapter)
    return Opened(local.models, sink=local, base=local)
