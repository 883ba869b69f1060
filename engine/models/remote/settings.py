"""The settings of every backend whose models are on a server: the model, its tokenizer, its key."""

from __future__ import annotations

from engine.core.fields import Count, PathOrName
from engine.models.prices import PricedSettings


class RemoteSettings(PricedSettings, frozen=True):
    """A model on a server."""

    model: str = ""
    """The name of the model, as the server lists it. "": the only one that it has."""

    tokenizer: PathOrName = ""
    """The model's tokenizer, to count tokens: a folder with tokenizer.json, or the name of a model on the Hugging Face hub.
    "": tokens of skills are not counted, and the reward for short skills is not measured."""

    context: Count = 0
    """The most tokens of a prompt and its answer together. 0: what the server says."""
