"""The curator on a vLLM server: a model whose name there changes with each adapter that is published.

    curator = Curator(adapters, server)
    completion = await curator.complete(messages, sampling, tools)        # completion.version is the adapter's that answered

Each request is counted as a use of the adapter that it asks for, also where it is made again, so that an adapter is unloaded
only when no request needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.models.base import Completion, Message, Sampling
from engine.models.remote.model import NotServed, RemoteModel, Server
from engine.models.vllm.adapters import Adapters

FORGOTTEN = 3
"""How often one request is made again because the server has forgotten the adapter."""


class Curator:
    """A `ChatModel` and a `Chooser`."""

    def __init__(self, adapters: Adapters, server: Server) -> None:
        self._adapters = adapters
        self._server = server

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, tools: list[dict[str, Any]] | None = None
    ) -> Completion:
        """Answer one chat; see `ChatModel`."""
        return await self._asked(lambda model: model.complete(messages, sampling, tools))

    async def choose(self, messages: Sequence[Message], options: Sequence[str], sampling: Sampling) -> Completion:
        """Answer with one of `options`; see `Chooser`."""
        return await self._asked(lambda model: model.choose(messages, options, sampling))

    async def _asked(self, ask: Any) -> Completion:
        for left in reversed(range(FORGOTTEN)):
            async with self._adapters.used() as use:
                try:
                    completion: Completion = await ask(RemoteModel("curator", use.served, self._server))
                    return completion
                except NotServed:
                    if not left or not await self._adapters.remembered_again(use.name):
                        raise
        raise AssertionError("the last try raises")
