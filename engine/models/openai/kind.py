"""The backend `openai`, as far as it is known without its client."""

from __future__ import annotations

from urllib.parse import urlsplit

from engine.core.errors import ConfigError
from engine.models.openai.settings import OpenAIModelSettings
from engine.models.registry import ModelBackend

ADDRESS = "expected an address such as http://127.0.0.1:8000/v1"


def check(settings: OpenAIModelSettings) -> None:
    """Raises `ConfigError` for an address, a name of a key, or fields that cannot be."""
    from engine.models.remote.opening import check_remote

    try:
        parts = urlsplit(settings.url)
        parts.port  # noqa: B018 - it raises for a port that is no number
    except ValueError as error:
        raise ConfigError(f"model.url={settings.url} cannot be used: {error}; {ADDRESS}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"model.url={settings.url} cannot be used; {ADDRESS}")
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise ConfigError(f"model.url={settings.url} is too long: leave out /chat/completions")
    check_remote(settings)
    if settings.api_version and not settings.model:
        raise ConfigError("model.api_version is Azure's, where model.model must name the deployment")


def context(settings: OpenAIModelSettings) -> int | None:
    """The most tokens of a prompt and its answer together, where the settings say so."""
    return settings.context or None


KIND = ModelBackend(
    name="openai",
    settings=OpenAIModelSettings,
    check=check,
    opens="engine.models.openai.opening:open_models",
    chooses=True,
    judges=True,
    context=context,
)
