"""The local backend, as far as it is known without torch; `engine.models.local.models` does the work."""

from __future__ import annotations

from engine.models.local.settings import LocalModelSettings
from engine.models.registry import ModelBackend


def check(settings: LocalModelSettings) -> None:
    """Raises `ConfigError` where the model cannot be loaded, not be put on its device, or not read `model.context`
    tokens."""
    from engine.models.local.files import check_length, check_model

    check_model(settings)
    check_length(settings)


def context(settings: LocalModelSettings) -> int | None:
    """The most tokens of a prompt and its answer together; None where that is known only when the model is loaded. Raises
    `ConfigError` as `check` does."""
    from engine.models.local.files import check_length

    return check_length(settings)


KIND = ModelBackend(
    name="local",
    settings=LocalModelSettings,
    check=check,
    opens="engine.models.local.opening:open_models",
    scores=True,
    chooses=True,
    judges=True,
    trains=True,
    trains_all=True,
    context=context,
    vocabulary="engine.models.local.tokenizer:load_tokenizer",
)
