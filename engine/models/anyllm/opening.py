"""Opening the backend `anyllm`: `await open_models(config.model, Opening(report=print))`."""

from __future__ import annotations

import msgspec

from engine.core.errors import ConfigError
from engine.models.anyllm.kind import INSTALL
from engine.models.anyllm.settings import AnyLLMModelSettings
from engine.models.base import Opened, Opening
from engine.models.remote.opening import open_remote


async def open_models(settings: AnyLLMModelSettings, opening: Opening) -> Opened:
    """The models of a provider; see `open_remote`. Without model.key its key is called as the provider's own tools call it,
    such as ANTHROPIC_API_KEY."""
    try:
        from engine.models.anyllm.client import open_connection
    except ModuleNotFoundError as error:
        raise ConfigError(INSTALL) from error
    key = settings.key or f"{settings.provider.upper().replace('-', '_')}_API_KEY"
    named = msgspec.structs.replace(settings, key=key)
    address = settings.url or settings.provider
    return await open_remote(named, opening, address, lambda key: open_connection(named, key), lists=False)
