"""A stand-in for vLLM whose answers are the pocket model's, with the log-probabilities of chosen tokens (`/v1/completions`).

    with VllmStandIn(noise=0.03) as server:
        server.decodes_as["curator-v2"] = "curator-v1"      # it serves the wrong adapter

`noise` is the standard deviation of what is added to each log-probability, another draw for each adapter, as rounding does.
"""

import asyncio
import random

import torch

from tests.models.standin.answers import Status
from tests.models.standin.pocket import PocketStandIn
from tests.models.standin.server import json_response, response_of


class VllmStandIn(PocketStandIn):
    async def _respond(self, asked):
        if asked.path == "/v1/completions" and not self._faults[asked.path]:
            return await self._probed(asked)
        return await super()._respond(asked)

    async def _probed(self, asked):
        body = asked.body
        asked.model, asked.decoder = body["model"], self.decodes_as.get(body["model"], body["model"])
        if asked.model != self.model and asked.model not in self.adapters:
            return response_of(Status(404, f"The model `{asked.model}` does not exist.", type="NotFoundError"))
        assert body["max_tokens"] == 1 and "prompt_logprobs" not in body
        found = await asyncio.to_thread(self._logprobs_of, asked.decoder, body["prompt"], body["logprob_token_ids"])
        top = {f"token_id:{token}": value for token, value in found.items()}
        logprobs = {"tokens": list(top)[:1], "token_logprobs": [max(top.values())], "top_logprobs": [top]}
        return json_response({"choices": [{"index": 0, "text": "x", "logprobs": logprobs, "finish_reason": "length"}]})

    def _logprobs_of(self, decoder, prompt, tokens):
        with torch.inference_mode():
            logits = self._network(decoder).network(input_ids=torch.tensor([prompt])).logits[0, -1]
        row = logits.float().log_softmax(-1)
        draw = random.Random(f"{decoder} {len(prompt)} {prompt[-1]}")
        return {token: float(row[token]) + draw.gauss(0, self.noise) for token in tokens}
