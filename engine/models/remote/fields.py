"""The fields of a request, and which of them a server takes.

    extras = Extras(emit)
    body = extras.request("qwen", messages, sampling, tools)
    extras.drop(refused, body)            # True: ask again, without what the server does not know

Every filter is sent, also one that is off: a server's own defaults (vLLM takes them from generation_config.json) would else
draw from another distribution than the one that is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from engine.core.events import Notice, Sink
from engine.models.base import Message, Sampling
from engine.models.remote.errors import Refused

Body = dict[str, Any]

NEEDED = frozenset({"model", "messages", "tools", "tool_choice", "structured_outputs"})
"""What is never left out: the request would be another one."""

_UNKNOWN = re.compile(
    r"un(?:supported|recogni[sz]ed|known|expected)|not (?:supported|permitted|allowed|recogni[sz]ed|available|implemented)"
    r"|does not (?:support|allow|exist|accept)|extra (?:fields|inputs|field)|additional propert"
    r"|invalid (?:parameter|argument|field)"
    r"|no such|only the default",
    re.IGNORECASE,
)

EFFECTS = MappingProxyType(
    {
        "temperature": "answers are drawn at the server's own temperature",
        "top_p": "top_p has no effect",
        "top_k": "top_k has no effect",
        "min_p": "min_p has no effect",
        "seed": "a repeated run draws other answers",
        "stop": "answers do not end at the texts of stop; what follows them is cut off here",
        "chat_template_kwargs": "thinking cannot be switched on or off",
        "response_format": "answers are not bound to their JSON schema, and are checked here",
    }
)


class Extras:
    """What one server does not take. `own` are fields that the settings add to every request."""

    def __init__(self, emit: Sink, server: str, own: Mapping[str, Any] | None = None) -> None:
        self.dropped: set[str] = set()
        self.without_effect: set[str] = set()
        self.tokens_field = "max_tokens"
        self.tool_choice: str | None = None
        self._emit = emit
        self._server = server
        self._own = dict(own or {})
        self._said: set[str] = set()

    def request(
        self, model: str, messages: Sequence[Message], sampling: Sampling, tools: list[dict[str, Any]] | None
    ) -> Body:
        """The body of a request for a completion."""
        body: Body = {
            "model": model,
            "messages": messages,
            self.tokens_field: sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or -1,
            "min_p": sampling.min_p,
            "repetition_penalty": 1.0,
            "seed": sampling.seed % 2**31,
            "logprobs": True,
            "return_token_ids": True,
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.thinking is not None:
            body["chat_template_kwargs"] = {"enable_thinking": sampling.thinking}
        if sampling.schema:
            schema = {"name": "answer", "schema": msgspec.Raw(sampling.schema.encode()), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if tools:
            body["tools"] = tools
            if self.tool_choice:
                body["tool_choice"] = self.tool_choice
        self._tell(sampling)
        for name, value in self._own.items():
            both = isinstance(value, dict) and isinstance(body.get(name), dict)
            body[name] = {**value, **body[name]} if both else value
        return {name: value for name, value in body.items() if name not in self.dropped}

    def drop(self, refused: Refused, body: Body) -> bool:
        """Whether the refused request can be made again without a field that the error names."""
        named = self.named(refused, body)
        if not named:
            return False
        for name in named:
            self.leave_out(name)
        return True

    def leave_out(self, name: str) -> None:
        """Send a field no more; the longest length has two names, of which the other one is tried first."""
        if name == "max_tokens" and self.tokens_field == name:
            self.tokens_field = "max_completion_tokens"
        else:
            self.dropped.add(name)

    def named(self, refused: Refused, body: Body) -> list[str]:
        """The fields of `body` that an error says the server does not know: as its parameter, or else as words of its text.
        A value that it does not take is none of them."""
        if not _UNKNOWN.search(refused.text):
            return []
        mine = [name for name in body if name not in NEEDED and name not in self._own]
        param = refused.param.replace("body.", "").split(".")[0]
        if param in mine:
            return [param]
        words = set(re.findall(r"[a-z_]+", refused.text.lower()))
        found = [name for name in mine if name in words and (len(name) > 4 or f"'{name}'" in refused.text)]
        return found if len(found) <= 2 else []

    def _tell(self, sampling: Sampling) -> None:
        """Say once what of a request has no effect on this server."""
        wanted = {
            "temperature": sampling.temperature != 1,
            "top_p": sampling.top_p < 1,
            "top_k": sampling.top_k > 0,
            "min_p": sampling.min_p > 0,
            "stop": bool(sampling.stop),
            "chat_template_kwargs": sampling.thinking is not None,
            "response_format": bool(sampling.schema),
        }
        for name, is_wanted in wanted.items():
            lacking = name in self.dropped or name in self.without_effect
            if is_wanted and lacking and name not in self._said:
                self._said.add(name)
                how = "does not take" if name in self.dropped else "ignores"
                self._emit(Notice("warning", f"the server {self._server} {how} {name}: {EFFECTS[name]}"))
