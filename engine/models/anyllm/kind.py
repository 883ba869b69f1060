"""The backend `anyllm`, as far as it is known without any-llm-sdk."""

from __future__ import annotations

from importlib.util import find_spec

from engine.core.errors import ConfigError
from engine.models.anyllm.settings import AnyLLMModelSettings
from engine.models.registry import ModelBackend

INSTALL = "model.kind=anyllm needs the package any-llm-sdk, which is not installed: pip install 'skillos-tui[anyllm]'"


def check(settings: AnyLLMModelSettings) -> None:
    """Raises `ConfigError` where the package is missing, or a setting cannot be."""
    from engine.models.remote.opening import check_remote

    if find_spec("any_llm") is None:
        raise ConfigError(INSTALL)
    check_remote(settings)
    if not settings.model:
        raise ConfigError(f"model.model is the name of a model of {settings.provider}, such as claude-sonnet-4-5")


def context(settings: AnyLLMModelSettings) -> int | None:
    """The most tokens of a prompt and its answer together, where the settings say so."""
    return settings.context or None


KIND = ModelBackend(
    name="anyllm",
    settings=AnyLLMModelSettings,
    check=check,
    opens="engine.models.anyllm.opening:open_models",
    judges=True,
    context=context,
)
