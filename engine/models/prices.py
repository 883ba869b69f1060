"""What the tokens of a model cost.

prices_of(config.model)                       # None where no price is set
prices_of(config.model).cost(usage)           # in the currency of the prices
"""

from __future__ import annotations

import msgspec

from engine.core.fields import NonNegative
from engine.core.parts import Settings
from engine.models.base import Usage
from engine.models.limits.settings import LimitedSettings

MILLION = 1_000_000


class PricedSettings(LimitedSettings, frozen=True):
    """What a model's tokens cost. A backend that may cost money inherits these settings."""

    prompt_price: NonNegative = 0.0
    """The price of a million tokens of prompts, in any currency; 0: none."""

    cached_price: NonNegative = 0.0
    """The price of a million tokens of prompts that the server had in its cache; 0: that of the others."""

    completion_price: NonNegative = 0.0
    """The price of a million tokens of answers; 0: none."""


class Prices(msgspec.Struct, frozen=True):
    """Prices of a million tokens, all in one currency."""

    prompt: float
    completion: float
    cached: float

    def cost(self, usage: Usage) -> float:
        """What one call costs. Tokens whose caching is not reported are not cached."""
        cached = min(usage.cached or 0, usage.prompt)
        parts = (usage.prompt - cached) * self.prompt + cached * self.cached + usage.completion * self.completion
        return parts / MILLION


def prices_of(settings: Settings) -> Prices | None:
    """The prices of a backend's settings; None where it has none, or none is set."""
    if not isinstance(settings, PricedSettings) or not (settings.prompt_price or settings.completion_price):
        return None
    return Prices(settings.prompt_price, settings.completion_price, settings.cached_price or settings.prompt_price)
