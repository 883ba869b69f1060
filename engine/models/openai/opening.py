"""Opening the backend `openai`: `await open_models(config.model, Opening(report=print))`."""

from __future__ import annotations

from engine.models.base import Opened, Opening
from engine.models.openai.client import open_connection
from engine.models.openai.settings import OpenAIModelSettings
from engine.models.remote.opening import open_remote


async def open_models(settings: OpenAIModelSettings, opening: Opening) -> Opened:
    """The models of a server; see `open_remote`. Azure lists models that are no deployments."""
    return await open_remote(
        settings, opening, settings.url, lambda key: open_connection(settings, key), lists=not settings.api_version
    )
