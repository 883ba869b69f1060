"""The settings that every backend with a server has; a backend's settings inherit them."""

from __future__ import annotations

from engine.core.fields import Count, Positive, Seconds
from engine.models.settings import ModelSettings


class LimitedSettings(ModelSettings, frozen=True):
    """How requests are sent to a server."""

    concurrency: Positive = 64
    """The most requests at the same time. Fewer are sent while the server is at its limit."""

    answer_seconds: Seconds = 300.0
    """How long one request may take; then it counts as failed."""

    retries: Count = 3
    """How often one failed request is made again, besides those that an outage interrupts."""

    requests_per_minute: Count = 0
    """The most requests a minute; 0: no limit."""

    tokens_per_minute: Count = 0
    """The most tokens a minute, of prompts and answers together; 0: no limit."""
