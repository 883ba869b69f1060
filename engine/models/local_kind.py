"""The local backend, as far as it is known without torch; `engine.models.local.model` does the work."""

from __future__ import annotations

from engine.models.registry import ModelBackend
from engine.models.settings import LocalModelSettings


def check(settings: LocalModelSettings) -> None:
    """Raises `ConfigError` where the model cannot be loaded, or not be put on its device."""
    from engine.models.files import check_model

    check_model(settings)


KIND = ModelBackend(
    name="local", settings=LocalModelSettings, check=check, context=lambda settings: int(settings.context)
)
