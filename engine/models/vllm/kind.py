"""The vLLM backend, as far as it is known without a server; `engine.models.vllm.opening` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.core.errors import ConfigError
from engine.core.text import has_credentials
from engine.models.local.settings import LocalModelSettings
from engine.models.registry import ModelBackend
from engine.models.vllm.settings import VllmModelSettings


def check(settings: VllmModelSettings) -> None:
    """Raises `ConfigError` where the server cannot be started or reached as the settings say."""
    from engine.models.local.files import check_length, check_model
    from engine.models.vllm.command import check_python, more_arguments

    if Path(settings.weights).is_file():
        raise ConfigError(
            f"model.weights={settings.weights} is one file, and vLLM takes a folder as transformers writes it"
        )
    check_model(trained(settings))
    check_length(trained(settings))
    if not settings.url:
        check_python(settings)
        more_arguments(settings)
        return
    check_url(settings.url)
    if settings.port or settings.arguments or settings.quantization:
        raise ConfigError(
            "model.url names a server that runs, so model.port, model.arguments and model.quantization cannot be set: give "
            "them to that server, or set model.url to ''"
        )


def check_training(settings: VllmModelSettings, rank: int) -> None:
    """Raises `ConfigError` for a rank that no server takes, and for weights that are not those that are trained."""
    from engine.models.vllm.command import rank_limit

    if settings.quantization:
        raise ConfigError(
            f"model.quantization={settings.quantization} changes the weights of the curator, which are trained in full: "
            "set it in [executor_model] (kind = 'vllm'), so that the executor has a server of its own"
        )
    rank_limit(rank)


def check_url(url: str) -> None:
    """Raises `ConfigError` for what is no address of a server."""
    expected = "expected the address of a vLLM server, such as http://127.0.0.1:8000"
    if has_credentials(url):
        raise ConfigError(f"model.url has a password or token in it: {expected}, and model.key for the name of a key")
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ConfigError(f"model.url={url} cannot be used: {expected}")


def trained(settings: VllmModelSettings) -> LocalModelSettings:
    """The settings of the trainer's own base."""
    return LocalModelSettings(
        weights=settings.weights,
        device=settings.device,
        dtype=settings.trainer_dtype,
        threads=settings.threads,
        context=settings.context,
    )


def context(settings: VllmModelSettings) -> int | None:
    """The most tokens of a prompt and its answer together, as far as it is known without the server. Raises
    `ConfigError`."""
    from engine.models.local.files import check_length

    return check_length(trained(settings))


def load_vocabulary(settings: VllmModelSettings) -> Any:
    """The tokenizer of transformers. Raises `ConfigError`."""
    from engine.models.local.tokenizer import load_tokenizer

    return load_tokenizer(trained(settings))


KIND = ModelBackend(
    name="vllm",
    settings=VllmModelSettings,
    check=check,
    opens="engine.models.vllm.opening:open_models",
    chooses=True,
    judges=True,
    trains=True,
    check_training=check_training,
    context=context,
    vocabulary="engine.models.vllm.kind:load_vocabulary",
)
