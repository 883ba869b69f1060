"""Drawing completions of one batch, each from its own seed.

    drawn = generate(network, tokenizer, prompts, sampling, seeds, ends={2}, model="curator")
    drawn[0].text, drawn[0].tokens.logprobs

Every row draws by the noise of its own seed (Gumbel-max), so what else is in the batch changes no more than the rounding of
floats.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

import msgspec
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from engine.models.base import NotFinite, Sampling, Tokens
from engine.models.local.choosing import Options, Walk, constrained
from engine.models.local.stopping import StopTexts, Unwanted, cut, decoded


class Drawn(msgspec.Struct, frozen=True):
    """One row of a batch. `option` is the index of the option that it wrote, None where it was given none."""

    text: str
    finish: Literal["stop", "length"]
    tokens: Tokens
    option: int | None = None


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
    ends: Collection[int],
    model: str,
    options: Sequence[Options] = (),
    wanted: Callable[[int], bool] = _all_wanted,
) -> list[Drawn]:
    """One left-padded batch through `network.generate`. `prompts` are token ids, `ends` the tokens that end an answer;
    `sampling.seed` is not used. With `options`, one a row, each row writes one of its own, and stop texts do not count.

    A row that is not `wanted` (by index) ends at its next token. Raises `NotFinite` with the name `model`.
    """
    inputs = tokenizer.pad({"input_ids": list(prompts)}, return_tensors="pt").to(network.device)
    width = inputs["input_ids"].shape[1]
    walks = [Walk(each) for each in options]
    draw = SeededDraw(sampling, seeds, network.device, model=model, ends=ends, walks=walks)
    texts = () if walks else sampling.stop
    stops = StopTexts(tokenizer, texts, width, len(prompts)) if texts else None
    output = network.generate(
        **inputs,
        generation_config=GenerationConfig(
            do_sample=False,
            max_new_tokens=sampling.max_tokens,
            eos_token_id=sorted(ends),
            pad_token_id=tokenizer.pad_token_id,
        ),
        logits_processor=LogitsProcessorList([draw]),
        stopping_criteria=StoppingCriteriaList([Unwanted(len(prompts), wanted), *([stops] if stops else [])]),
    )
    logprobs = torch.stack(draw.logprobs, dim=1).tolist()
    rows = []
    for row, ids in enumerate(output[:, width:].tolist()):
        length = stops.lengths[row] if stops else None
        drawn = drawn_row(tokenizer, prompts[row], ids[:length], logprobs[row], ends, texts)
        rows.append(msgspec.structs.replace(drawn, option=walks[row].option) if walks else drawn)
    return rows


def drawn_row(
    tokenizer: PreTrainedTokenizerBase,
    prompt: list[int],
    ids: list[int],
    logprobs: list[float],
    ends: Collection[int],
    stops: Sequence[str],
) -> Drawn:
    """A row from the ids that it drew, and the padding after them; `stops` are the texts that end it."""
    length = next((at for at, token in enumerate(ids) if token in ends), None)
    sampled = ids if length is None else ids[: length + 1]
    text = decoded(tokenizer, ids[:length])
    before = cut(text, stops)
    return Drawn(
        text=text if before is None else before,
        finish="length" if length is None and before is None else "stop",
        tokens=Tokens(prompt, sampled, logprobs[: len(sampled)]),
    )


class Draw:
    """Draws tokens with one sampling, each row by the noise of its own generator.

    argmax(logits/T + g) with g ~ Gumbel(0, 1) is a draw from softmax(logits/T) (the Gumbel-max trick). The noise is drawn on
    the device of the logits.
    """

    def __init__(self, sampling: Sampling, device: torch.device, model: str) -> None:
        self._model = model
        self._device = device
        self._random = bool(sampling.temperature)
        self._warpers: list[LogitsProcessor] = []
        if sampling.temperature:
            self._warpers.append(TemperatureLogitsWarper(sampling.temperature))
            if sampling.top_k:
                self._warpers.append(TopKLogitsWarper(sampling.top_k))
            if sampling.top_p < 1.0:
                self._warpers.append(TopPLogitsWarper(sampling.top_p))
            if sampling.min_p:
                self._warpers.append(MinPLogitsWarper(sampling.min_p))

    def generator(self, seed: int) -> torch.Generator | None:
        """The noise of a row; None where the sampling is greedy."""
        return torch.Generator(self._device).manual_seed(seed % 2**63) if self._random else None

    def scores(
        self, raw: torch.Tensor, generators: Sequence[torch.Generator], walks: Sequence[Walk] = ()
    ) -> torch.Tensor:
        """Scores `[row, token]` whose argmax is the draw from the logits `raw`. `generators` are those of the rows, none
        where the sampling is greedy; `walks`, one a row, restrict what is drawn (`choosing`)."""
        scores = constrained(raw, walks) if walks else raw
        for warper in self._warpers:
            scores = warper(_NO_IDS, scores)
        if generators:
            noise = torch.empty_like(raw)
            for row, generator in zip(noise, generators, strict=True):
                row.uniform_(generator=generator)
            scores = scores - noise.clamp_(1e-20, 1 - 1e-7).log_().neg_().log_()
        return scores

    def tokens(
        self, logits: torch.Tensor, generators: Sequence[torch.Generator], walks: Sequence[Walk] = ()
    ) -> tuple[list[int], list[float]]:
        """A token of each row, and its natural log-probability in the unfiltered distribution at temperature 1. Raises
        `NotFinite` where that is no finite number: there is nothing to draw from."""
        raw = logits.float()
        token = self.scores(raw, generators, walks).argmax(dim=-1, keepdim=True)
        logprobs = raw.log_softmax(dim=-1).gather(-1, token).squeeze(-1)
        if not bool(logprobs.isfinite().all()):
            raise NotFinite(self._model)
        return token.squeeze(-1).tolist(), logprobs.tolist()


_NO_IDS: Any = None
"""What transformers' filters get for the ids before, which those of `Draw` do not read."""


class SeededDraw(LogitsProcessor):
    """Turns greedy decoding of `network.generate` into sampling by `Draw`.

    `logprobs` collects the natural log-probability of each drawn token. Where that is no finite number: `NotFinite`, unless
    the row has ended with one of the tokens `ends` before. `walks`, one a row, restrict what is drawn.
    """

    def __init__(
        self,
        sampling: Sampling,
        seeds: Sequence[int],
        device: torch.device,
        *,
        model: str,
        ends: Collection[int],
        walks: Sequence[Walk] = (),
    ) -> None:
        self.logprobs: list[torch.Tensor] = []
        self._model = model
        self._draw = Draw(sampling, device, model)
        self._ends = torch.tensor(sorted(ends))
        self._walks = walks
        self._ended = torch.zeros(len(seeds), dtype=torch.bool)
        self._generators = [generator for seed in seeds if (generator := self._draw.generator(seed))]

    def __call__(self, input_ids: torch.LongTensor, scores: Any) -> Any:
        raw = scores.float()
        drawn = self._draw.scores(raw, self._generators, self._walks)
        token = drawn.argmax(dim=-1, keepdim=True)
        logprobs = raw.log_softmax(dim=-1).gather(-1, token).squeeze(-1).cpu()
        if not bool((logprobs.isfinite() | self._ended).all()):
            raise NotFinite(self._model)
        self.logprobs.append(logprobs)
        tokens = token.squeeze(-1).cpu()
        self._ended |= torch.isin(tokens, self._ends)
        for walk, taken in zip(self._walks, tokens.tolist(), strict=False):
            walk.take(taken)
        return drawn
