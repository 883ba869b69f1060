"""The prompts that a tokenizer's chat template makes of chats. What the template can do is found by rendering, not assumed.

    template = ChatTemplate(load_tokenizer(config.model))
    template.prompt_ids(messages, tools=TOOLS, thinking=False)
    template.takes_tools, template.takes_system, template.takes_thinking, template.ends

Tools that the template leaves out are written into the system message (`engine.models.tools`). A system message that it does
not know, as Gemma's, goes before the first message of the user. Turns of one role in a row are one turn where it wants the
roles to alternate, as Mistral's. Control tokens in a message are broken up, so that no message can end a turn or begin one.
The template alone adds a token that begins the text (BOS).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jinja2

from engine.core.errors import ConfigError
from engine.models.base import Message
from engine.models.control import Control
from engine.models.tools import PROBE_CHAT, Tools, template_takes_tools, with_tools

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAID = "the marked text of the probe"


class ChatTemplate:
    """The chat template of a tokenizer. `ends` are the tokens that end an answer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._control = _control(tokenizer)
        self.takes_system = self._renders([Message("system", SAID), *PROBE_CHAT])
        self.alternates = not self._renders([*PROBE_CHAT, Message("user", SAID)])
        self.takes_tools = template_takes_tools(self._render)
        self.takes_thinking = self._render(PROBE_CHAT, thinking=True) != self._render(PROBE_CHAT, thinking=False)
        self.ends = frozenset({int(tokenizer.eos_token_id)} | self._ends_of_turns())

    def render(self, messages: Sequence[Message], tools: Tools | None = None, thinking: bool | None = None) -> str:
        """The prompt as text. Raises `ConfigError` where the template refuses the chat, and `ValueError` for an empty
        one."""
        if not messages:
            raise ValueError("a chat needs a message")
        chat = self._control.chat(messages)
        if tools and not self.takes_tools:
            chat, tools = with_tools(chat, tools), None
        if not self.takes_system:
            chat = [Message("user", message.content) if message.role == "system" else message for message in chat]
        if self.alternates or not self.takes_system:
            chat = _joined(chat)
        try:
            return self._render(chat, tools, thinking)
        except (jinja2.TemplateError, ValueError, TypeError) as error:
            roles = ", ".join(message.role for message in chat)
            raise ConfigError(f"the model's chat template refuses a chat of {roles}: {error}") from error

    def prompt_ids(
        self, messages: Sequence[Message], tools: Tools | None = None, thinking: bool | None = None
    ) -> list[int]:
        """The prompt as token ids. Errors are those of `render`."""
        return list(self._tokenizer(self.render(messages, tools, thinking), add_special_tokens=False)["input_ids"])

    def _render(
        self, messages: Sequence[Message], tools: Tools | None = None, thinking: bool | None = None, answer: bool = True
    ) -> str:
        """What the template makes of a chat as it is; `answer`: with the beginning of the model's turn."""
        chat = [{"role": message.role, "content": message.content} for message in messages]
        offered: list[Any] | None = tools
        settings: dict[str, Any] = {} if thinking is None else {"enable_thinking": thinking}
        return str(
            self._tokenizer.apply_chat_template(
                chat, tools=offered, add_generation_prompt=answer, tokenize=False, **settings
            )
        )

    def _renders(self, messages: Sequence[Message]) -> bool:
        """Whether a chat with `SAID` in it is rendered, and `SAID` with it."""
        try:
            return SAID in self._render(messages)
        except (jinja2.TemplateError, ValueError, TypeError):
            return False

    def _ends_of_turns(self) -> set[int]:
        """The token that the template puts after an answer, where it is a control token."""
        try:
            whole = self._render([*PROBE_CHAT, Message("assistant", SAID)], answer=False)
        except (jinja2.TemplateError, ValueError, TypeError):
            return set()
        after = self._control.begins(whole.partition(SAID)[2].lstrip())
        found = self._tokenizer.convert_tokens_to_ids(after) if after else None
        return {found} if isinstance(found, int) else set()


def _control(tokenizer: PreTrainedTokenizerBase) -> Control:
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    return Control([*map(str, tokenizer.all_special_tokens), *added])


def _joined(messages: Sequence[Message]) -> list[Message]:
    """The chat with turns of one role in a row as one turn."""
    joined: list[Message] = []
    for message in messages:
        if joined and joined[-1].role == message.role:
            joined[-1] = Message(message.role, f"{joined[-1].content}\n\n{message.content}")
        else:
            joined.append(message)
    return joined
