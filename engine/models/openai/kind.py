"""The backend `openai`, as far as it is known without its client."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from engine.core.errors import ConfigError
from engine.models.openai.settings import OpenAIModelSettings
from engine.models.registry import ModelBackend

ADDRESS = "expected an address such as http://127.0.0.1:8000/v1"


def check(settings: OpenAIModelSettings) -> None:
    """Raises `ConfigError` for an address, a name of a key, or fields that cannot be."""
    from engine.models.remote.keys import check_key_name

    try:
        parts = urlsplit(settings.url)
        parts.port  # noqa: B018 - it raises for a port that is no number
    except ValueError as error:
        raise ConfigError(f"model.url={settings.url} cannot be used: {error}; {ADDRESS}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"model.url={settings.url} cannot be used; {ADDRESS}")
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise ConfigError(f"model.url={settings.url} is too long: leave out /chat/completions")
    check_key_name(settings.key)
    if settings.api_version and not settings.model:
        raise ConfigError("model.api_version is Azure's, where model.model must name the deployment")
    _check_body(settings.body)


def _check_body(body: str) -> None:
    try:
        fields = msgspec.json.decode(body) if body else {}
    except msgspec.DecodeError as error:
        raise ConfigError(f"model.body is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ConfigError('model.body is a JSON object, such as {"reasoning_effort": "low"}')
    ours = sorted({"model", "messages", "tools", "stream", "n"} & set(fields))
    if ours:
        raise ConfigError(f"model.body cannot set {', '.join(ours)}")


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
