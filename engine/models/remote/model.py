"""One role's model on a server: a `ChatModel` and a `Chooser`.

    served = Served("qwen", version=0)
    model = RemoteModel("curator", lambda: served, server)
    completion = await model.complete(messages, sampling, tools)

`served()` says by which name the server has the model now; with adapters it changes from step to step, and a request that
meets the change is made again under the new name. `Server` is what all roles share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from engine.core.errors import ConfigError
from engine.models.base import (
    Completion,
    Message,
    ModelUnavailable,
    PromptTooLong,
    Sampling,
)
from engine.models.control import FAMILIES, Control
from engine.models.limits import Gateway, Retryable
from engine.models.remote.completions import completion_of
from engine.models.remote.errors import Asked, ModelMissing, NoSuchPath, Refused
from engine.models.remote.fields import Body, Extras
from engine.models.remote.listing import Listed, read_models
from engine.models.remote.replies import Reply, read_reply
from engine.models.remote.tokens import RemoteTokenizer
from engine.models.remote.wire import HttpClient
from engine.models.tools import with_tools

CHAT = "/chat/completions"
MODELS = "/models"
BYTES_A_TOKEN, MOST_BYTES_A_TOKEN = 6, 12
"""A token of a prompt has about 4 bytes; prompts with more than these are looked at, or are not all there."""
CHANGES = 4
"""So often a request is made again because the server does not know a field, or the model's name has changed."""


class NotServed(ConfigError):
    """The server has no model of the name that was asked for, and lists others."""


class Served(msgspec.Struct, frozen=True):
    """A model's name on the server, the version of its adapter, and by which other names its answers may call it."""

    name: str
    version: int = 0
    aliases: frozenset[str] = frozenset()

    def answers_as(self, model: str | None) -> bool:
        """Whether an answer that names `model` is of this one. A server that names none is believed."""
        return not model or model == self.name or model in self.aliases


class Server:
    """A server, as its models use it: its requests, their limits, and what was found out of it.

    `context` is the most tokens of a prompt and its answer together, 0 where it is not known. `tools_in_prompt`: the chat
    template leaves tools out, so they are written into the prompt. `needs_ids`: an answer without token ids and their
    log-probabilities is none. `section` is that of its settings, for messages.
    """

    def __init__(
        self,
        name: str,
        client: HttpClient,
        gateway: Gateway,
        extras: Extras,
        *,
        tokenizer: RemoteTokenizer | None = None,
        key: str = "",
        context: int = 0,
        section: str = "model",
    ) -> None:
        self.name = name
        self.client = client
        self.gateway = gateway
        self.extras = extras
        self.tokenizer = tokenizer
        self.key = key
        self.context = context
        self.section = section
        self.tools_in_prompt = False
        self.needs_ids = False

    def asked(self, model: str = "", most: int = 0, limit: int = 0) -> Asked:
        """What an error's message needs of a request."""
        return Asked(self.name, model, self.key, self.section, most=most, limit=limit)

    @property
    def control(self) -> Control:
        """The control tokens that messages may not have."""
        return self.tokenizer.control if self.tokenizer else FAMILIES

    async def models(self) -> list[Listed] | None:
        """What the server lists; None where it has no list. Raises `Retryable`, `ConfigError`."""
        try:
            return read_models(await self.client.get(MODELS, self.asked()))
        except (ModelMissing, NoSuchPath):
            return None

    async def close(self) -> None:
        """End what runs beside the calls, and close the connections."""
        await self.gateway.close()
        await self.client.close()


class RemoteModel:
    """One role's model."""

    def __init__(self, role: str, served: Callable[[], Served], server: Server) -> None:
        self.role = role
        self._served = served
        self._server = server

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        tools: list[dict[str, Any]] | None = None,
    ) -> Completion:
        """Answer one chat; see `ChatModel`. Raises also `ConfigError`, where the server will never take the request."""
        messages = self._server.control.chat(messages)
        if tools and self._server.tools_in_prompt:
            messages, tools = with_tools(messages, tools), None
        return await self._ask(messages, sampling, tools, {})

    async def choose(self, messages: Sequence[Message], options: Sequence[str], sampling: Sampling) -> Completion:
        """Answer with one of `options`; see `Chooser`."""
        if not options or not all(options):
            raise ValueError("a choice needs options, and none of them is empty")
        messages = self._server.control.chat(messages)
        completion = await self._ask(messages, sampling, None, {"structured_outputs": {"choice": list(options)}})
        if completion.text not in options:
            raise ModelUnavailable(
                f"the {self.role}'s answer is none of the {len(options)} options: the server {self._server.name} does not "
                "bind its answers to a choice; use executor.decoding=generate"
            )
        return completion

    async def _ask(
        self, messages: Sequence[Message], sampling: Sampling, tools: list[dict[str, Any]] | None, more: Body
    ) -> Completion:
        self._check_length(messages, sampling)

        async def attempt() -> Completion:
            return await self._attempt(messages, sampling, tools, more)

        completion = await self._server.gateway.call(attempt, tokens=sampling.max_tokens)
        limit = self._limit(sampling)
        if completion.usage.prompt > limit:
            raise PromptTooLong(completion.usage.prompt, limit)
        self._check_whole(messages, completion.usage.prompt)
        return completion

    async def _attempt(
        self, messages: Sequence[Message], sampling: Sampling, tools: list[dict[str, Any]] | None, more: Body
    ) -> Completion:
        """One answer, of the model as it is served now."""
        server, extras = self._server, self._server.extras
        for _ in range(CHANGES):
            served = self._served()
            body = extras.request(served.name, messages, sampling, tools) | more
            asked = server.asked(served.name, sampling.max_tokens, self._limit(sampling))
            try:
                answer = await server.client.post(CHAT, msgspec.json.encode(body), asked)
            except ModelMissing as error:
                await self._missing(served, error)
                continue
            except Refused as error:
                if not extras.drop(error, body):
                    raise
                continue
            reply = read_reply(answer, self.role)
            if not served.answers_as(reply.model):
                raise Retryable(f"it answers as {shown_name(reply.model)} where {served.name} was asked")
            return self._completion(reply, messages, sampling, served.version)
        raise Retryable(f"the model {self._served().name} is not there")

    def _completion(self, reply: Reply, messages: Sequence[Message], sampling: Sampling, version: int) -> Completion:
        server = self._server
        made = completion_of(reply, messages, sampling, role=self.role, version=version, tokenizer=server.tokenizer)
        if server.needs_ids and made.tokens is None:
            raise Retryable("its answer has no token ids or no log-probabilities, which it gave when it was opened")
        safe = server.client.secrets.text_without(made.text)  # ids may spell out what no field of the answer has
        return made if safe == made.text else msgspec.structs.replace(made, text=safe)

    async def _missing(self, served: Served, error: ModelMissing) -> None:
        """Return where the request may be made again. Raises `ConfigError` that lists what the server has."""
        if self._served().name != served.name:
            return
        names = [model.name for model in await self._server.models() or ()]
        if served.name in names or self._served().name != served.name:
            return
        raise NotServed(not_served(served.name, self._server, names)) from error

    def _limit(self, sampling: Sampling) -> int:
        """The most tokens of a prompt."""
        context = self._server.context
        return min(sampling.max_prompt_tokens, context - sampling.max_tokens) if context else sampling.max_prompt_tokens

    def _check_whole(self, messages: Sequence[Message], read: int) -> None:
        """Raises `PromptTooLong` where the server has read fewer tokens than the texts have: some (Ollama) cut long prompts
        without a word."""
        size, tokenizer = _size(messages), self._server.tokenizer
        if size <= BYTES_A_TOKEN * read:
            return
        tokens = tokenizer.chat(messages) if tokenizer is not None else size // MOST_BYTES_A_TOKEN
        if tokens > read:
            raise PromptTooLong(tokens, read, at_least=True)

    def _check_length(self, messages: Sequence[Message], sampling: Sampling) -> None:
        """Raises `PromptTooLong` where the texts alone are too long, so that the server need not be asked, and `ConfigError`
        where no prompt has room."""
        limit, tokenizer = self._limit(sampling), self._server.tokenizer
        if limit <= 0:
            raise ConfigError(
                f"{self.role}.max_tokens={sampling.max_tokens} leaves no room for a prompt in the {self._server.context} "
                f"tokens of {self._served().name} on the server {self._server.name}: lower it, or let the server take more"
            )
        if tokenizer is not None and _size(messages) > limit:
            tokens = tokenizer.chat(messages)
            if tokens > limit:
                raise PromptTooLong(tokens, limit, at_least=True)


def _size(messages: Sequence[Message]) -> int:
    """The bytes of the texts: at least as many as their tokens."""
    return sum(len(message.content.encode()) for message in messages)


def shown_name(name: str | None) -> str:
    """A name that a server gave, as a message may quote it."""
    from engine.core.text import printable

    return repr(printable(name or "", 80))


def not_served(name: str, server: Server, names: Sequence[str]) -> str:
    """The message that the server has no such model, and which it has."""
    from engine.core.refusals import nearest

    near = nearest(name, names)
    listed = f"; it has: {', '.join(names[:20])}{', …' if len(names) > 20 else ''}" if names else ""
    return (
        f"the server {server.name} has no model {name!r}{near}{listed}: set {server.section}.model to the name of one"
    )
