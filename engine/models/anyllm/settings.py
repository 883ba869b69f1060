"""The settings of the backend `anyllm`."""

from __future__ import annotations

from engine.models.remote.settings import RemoteSettings


class AnyLLMModelSettings(RemoteSettings, frozen=True, tag="anyllm"):
    """A model of a provider with an API of its own, through any-llm-sdk. It answers; it is not trained."""

    provider: str = "anthropic"
    """any-llm's name of the provider: anthropic, gemini, mistral or another one."""

    url: str = ""
    """Another address than the provider's own; "" is its own."""
