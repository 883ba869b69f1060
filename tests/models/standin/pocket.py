"""A stand-in whose answers are the pocket model's, in process: base and adapters side by side, as vLLM serves them.

    with PocketStandIn() as server: ...                # `server.answer` is the model; scripts and faults work as always

Importing this imports torch.
"""

import asyncio
from pathlib import Path

import torch

from engine.core.errors import ConfigError
from engine.models.base import Message, Sampling
from engine.models.local.models import LocalModels
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer
from engine.models.local.weights import load_base
from tests.models.standin.answers import Answer, Status
from tests.models.standin.server import StandIn, response_of


class PocketStandIn(StandIn):
    """Answers by the pocket model. `noise` is added to each log-probability, one sign a token, as another precision
    would."""

    def __init__(self, *, noise=0.0, **options):
        super().__init__(**options)
        torch.set_num_threads(1)
        self.noise, self.answer, self._networks = noise, self._sampled, {}
        self._network(self.model)

    def _network(self, name):
        """The model that decodes by this name, an adapter of its own weights each."""
        path = self.adapters.get(name)
        if (name, path) not in self._networks:
            settings = LocalModelSettings()
            local = LocalModels(load_base(settings), load_tokenizer(settings), context=self.context)
            if path is not None:
                local.put(Path(path))
            self._networks[name, path] = local
        return self._networks[name, path]

    async def _load(self, body):
        response = super()._load(body)
        if response.status == 200:
            try:
                await asyncio.to_thread(self._network, body["lora_name"])
            except ConfigError as error:
                del self.adapters[body["lora_name"]]
                return response_of(Status(500, f"the adapter cannot be loaded: {error}"))
        return response

    async def _sampled(self, asked):
        body, local = asked.body, self._network(asked.decoder)
        sampling = Sampling(
            temperature=body.get("temperature", 1.0),
            top_p=body.get("top_p", 1.0),
            top_k=max(0, body.get("top_k", 0)),
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens") or 256,
            seed=body.get("seed") or 0,
        )
        messages = [Message(message["role"], message["content"]) for message in body["messages"]]
        model = local.executor if asked.decoder == self.model else local.curator
        done = await model.complete(messages, sampling, body.get("tools") if self.template_has_tools else None)
        ids = done.tokens.completion_ids
        noisy = [
            logprob + self.noise * (1 if token % 2 else -1)
            for logprob, token in zip(done.tokens.logprobs, ids, strict=True)
        ]
        return Answer(done.text, ids=ids, logprobs=[min(0.0, logprob) for logprob in noisy], finish=_cut(done.finish))


def _cut(finish):
    """The reason that the server gives; "" is the one that it finds by itself."""
    return "length" if finish == "length" else ""
