"""The heavy libraries of the jobs that play: `await asyncio.to_thread(prepare, config)` before anything is loaded."""

from __future__ import annotations

import logging

from engine.config import Config
from engine.models.settings import LocalModelSettings


def prepare(config: Config) -> None:
    """Import torch and set how many threads it may use: many threads on few cores are far slower than few threads.

    The libraries' own output (progress bars, every prompt of an unmeasured rollout) is kept out of the run's log file.
    """
    if not isinstance(config.model, LocalModelSettings):
        return
    import torch
    from transformers.utils import logging as transformers_logging

    torch.set_num_threads(config.model.threads)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("trl").setLevel(logging.ERROR)
