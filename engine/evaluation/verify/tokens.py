"""Counts tokens as the run's model does, in the prompts that its chat template makes.

tokens = load(config)
tokens.count("a text"), tokens.chat(messages)
"""

from __future__ import annotations

from typing import Any, Protocol

from engine.agents.sampling import sampling_of
from engine.config import Config
from engine.models.base import Message
from engine.models.local.chat import ChatTemplate
from engine.models.registry import load_vocabulary
from engine.skills import TOOLS


class Tokens(Protocol):
    """A tokenizer's counts: of a text, without special tokens, and of a curator's chat, its tools included."""

    def count(self, text: str) -> int: ...

    def chat(self, messages: list[Message]) -> int: ...


class _Counted:
    """The counts of a transformers tokenizer; those of texts are kept, since repositories repeat."""

    def __init__(self, tokenizer: Any, thinking: bool | None) -> None:
        self._tokenizer = tokenizer
        self._template = ChatTemplate(tokenizer)
        self._thinking = thinking
        self._counts: dict[str, int] = {}

    def count(self, text: str) -> int:
        if text not in self._counts:
            self._counts[text] = len(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        return self._counts[text]

    def chat(self, messages: list[Message]) -> int:
        return len(self._template.prompt_ids(messages, TOOLS, self._thinking))


def load(config: Config) -> Tokens:
    """The tokens of the run's model. Raises `ConfigError` where its tokenizer cannot be had."""
    return _Counted(load_vocabulary(config.model), sampling_of(config.curator, seed=0).thinking)
