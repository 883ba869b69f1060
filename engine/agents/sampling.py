"""How a role's completions are drawn, from its settings: `sampling_of(config.executor, seed=7)`."""

from __future__ import annotations

from engine.agents.settings import CuratorSettings, ExecutorSettings
from engine.models.base import Sampling


def sampling_of(settings: ExecutorSettings | CuratorSettings, seed: int) -> Sampling:
    """The sampling of one completion; `seed` makes its draw repeatable."""
    return Sampling(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        max_tokens=settings.max_tokens,
        max_prompt_tokens=settings.max_prompt_tokens,
        seed=seed,
        min_p=settings.min_p,
        stop=settings.stop,
        thinking=None if settings.thinking == "template" else settings.thinking == "on",
    )
