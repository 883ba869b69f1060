"""Counts tokens as the run's model does, with code that no run uses.

tokens = load(config.model_of("curator"))
tokens.count("a text"), tokens.chat(messages)
"""

from __future__ import annotations

from typing import Protocol

from engine.models.base import Message
from engine.models.registry import load_vocabulary
from engine.models.settings import ModelSettings
from engine.skills import TOOLS


class Tokens(Protocol):
    """A tokenizer's counts: of a text, without special tokens, and of a curator's chat, its tools included."""

    def count(self, text: str) -> int: ...

    def chat(self, messages: list[Message]) -> int: ...


class _Counted:
    """The counts of a transformers tokenizer; those of texts are kept, since repositories repeat."""

    def __init__(self, tokenizer: object) -> None:
        self._tokenizer = tokenizer
        self._counts: dict[str, int] = {}

    def count(self, text: str) -> int:
        if text not in self._counts:
            self._counts[text] = len(self._tokenizer(text, add_special_tokens=False)["input_ids"])  # type: ignore[operator]
        return self._counts[text]

    def chat(self, messages: list[Message]) -> int:
        chat = [{"role": message.role, "content": message.content} for message in messages]
        render = self._tokenizer.apply_chat_template  # type: ignore[attr-defined]
        return len(
            self._tokenizer(  # type: ignore[operator]
                render(chat, tools=TOOLS, add_generation_prompt=True, tokenize=False), add_special_tokens=False
            )["input_ids"]
        )


def load(settings: ModelSettings) -> Tokens:
    """The tokens of the run's model. Raises `ConfigError` where its tokenizer cannot be had."""
    return _Counted(load_vocabulary(settings))
