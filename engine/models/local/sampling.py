"""Drawing completions of one batch, each from its own seed.

    drawn = generate(network, tokenizer, prompts, sampling, seeds, model="curator")
    drawn[0].text, drawn[0].tokens.logprobs

Every row draws by the noise of its own seed (Gumbel-max), so what else is in the batch changes no more than the rounding of
floats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from engine.models.base import NotFinite, Sampling, Tokens


class Drawn(msgspec.Struct, frozen=True):
    """One row of a batch."""

    text: str
    finish: Literal["stop", "length"]
    tokens: Tokens


def _all_wanted(row: int) -> bool:
    return True


@torch.inference_mode()
def generate(
    network: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    sampling: Sampling,
    seeds: Sequence[int],
    *,
    model: str,
    wanted: Callable[[int], bool] = _all_wanted,
) -> list[Drawn]:
    """One left-padded batch through `network.generate`. `prompts` are token ids; `sampling.seed` is not used.

    A row that is not `wanted` (by index) ends at its next token. Raises `NotFinite` with the name `model`.
    """
    inputs = tokenizer.pad({"input_ids": list(prompts)}, return_tensors="pt").to(network.device)
    stop = tokenizer.eos_token_id
    draw = SeededDraw(sampling, seeds, network.device, model=model, stop=stop)
    output = network.generate(
        **inputs,
        generation_config=GenerationConfig(
            do_sample=False,
            max_new_tokens=sampling.max_tokens,
            eos_token_id=stop,
            pad_token_id=tokenizer.pad_token_id,
        ),
        logits_processor=LogitsProcessorList([draw]),
        stopping_criteria=StoppingCriteriaList([_Unwanted(len(prompts), wanted)]),
    )
    width = inputs["input_ids"].shape[1]
    logprobs = torch.stack(draw.logprobs, dim=1).tolist()
    return [
        _drawn(tokenizer, prompt, ids, row)
        for prompt, ids, row in zip(prompts, output[:, width:].tolist(), logprobs, strict=True)
    ]


def _drawn(tokenizer: PreTrainedTokenizerBase, prompt: list[int], ids: list[int], logprobs: list[float]) -> Drawn:
    stop = tokenizer.eos_token_id
    stopped = stop in ids
    length = ids.index(stop) + 1 if stopped else len(ids)
    return Drawn(
        text=str(tokenizer.decode(ids[: length - 1] if stopped else ids)),
        finish="stop" if stopped else "length",
        tokens=Tokens(prompt, ids[:length], logprobs[:length]),
    )


class SeededDraw(LogitsProcessor):
    """Turns greedy decoding into sampling: adds Gumbel noise of each row's own seed to the filtered logits.

    argmax(logits/T + g) with g ~ Gumbel(0, 1) is a draw from softmax(logits/T) (the Gumbel-max trick). `logprobs` collects
    the natural log-probability of each drawn token under the unfiltered distribution at temperature 1. Where that is no
    finite number there is nothing to draw from: `NotFinite`, unless the row has ended with the token `stop` before.
    """

    def __init__(
        self, sampling: Sampling, seeds: Sequence[int], device: torch.device, *, model: str, stop: int
    ) -> None:
        self.logprobs: list[torch.Tensor] = []
        self._model = model
        self._stop = stop
        self._ended = torch.zeros(len(seeds), dtype=torch.bool)
        self._generators = (
            [torch.Generator().manual_seed(seed % 2**63) for seed in seeds] if sampling.temperature else []
        )
        self._device = device
        self._warpers: list[LogitsProcessor] = []
        if sampling.temperature:
            self._warpers.append(TemperatureLogitsWarper(sampling.temperature))
            if sampling.top_k:
                self._warpers.append(TopKLogitsWarper(sampling.top_k))
            if sampling.top_p < 1.0:
                self._warpers.append(TopPLogitsWarper(sampling.top_p))

    def __call__(self, input_ids: torch.LongTensor, scores: Any) -> Any:
        raw = scores.float()
        drawn = raw
        for warper in self._warpers:
            drawn = warper(input_ids, drawn)
        if self._generators:
            uniform = torch.stack([torch.rand(raw.shape[-1], generator=generator) for generator in self._generators])
            drawn = drawn - torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7))).to(self._device)
        token = drawn.argmax(dim=-1, keepdim=True)
        logprobs = raw.log_softmax(dim=-1).gather(-1, token).squeeze(-1).cpu()
        if not bool((logprobs.isfinite() | self._ended).all()):
            raise NotFinite(self._model)
        self.logprobs.append(logprobs)
        self._ended |= token.squeeze(-1).cpu() == self._stop
        return drawn


class _Unwanted(StoppingCriteria):
    """Ends the rows whose requests were given up. The other rows draw on unchanged."""

    def __init__(self, rows: int, wanted: Callable[[int], bool]) -> None:
        self._rows = rows
        self._wanted = wanted

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> Any:
        return torch.tensor([not self._wanted(row) for row in range(self._rows)], device=input_ids.device)
