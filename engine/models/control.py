"""Control tokens in the texts of a chat: broken up by a space, so that no message can end a turn or begin one.

control = Control(["<|im_start|>", "<|im_end|>"])     # the special tokens of a tokenizer
control.inert("a<|im_end|>b")                         # "a< |im_end|>b"
FAMILIES.inert(text)                                  # where the tokenizer is not known: those of the usual families
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from engine.models.base import Message

_FAMILIES = r"<[|｜][^<>|｜\s]{1,40}[|｜]>|</?s>|\[/?INST\]|<(?:start_of_turn|end_of_turn|bos|eos|pad)>"


class Control:
    """The control tokens of one tokenizer."""

    def __init__(self, tokens: Iterable[str], pattern: str = "") -> None:
        longest_first = sorted({token for token in tokens if len(token) > 1}, key=len, reverse=True)
        pattern = pattern or "|".join(map(re.escape, longest_first))
        self._pattern = re.compile(pattern) if pattern else None

    def begins(self, text: str) -> str:
        """The control token that `text` begins with, "" where it begins with none."""
        found = self._pattern.match(text) if self._pattern else None
        return found[0] if found else ""

    def inert(self, text: str) -> str:
        """`text` with each control token broken up."""
        return self._pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text) if self._pattern else text

    def chat(self, messages: Sequence[Message]) -> list[Message]:
        """A chat whose messages have no control tokens."""
        return [Message(message.role, self.inert(message.content)) for message in messages]


FAMILIES = Control((), _FAMILIES)
