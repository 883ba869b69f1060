"""The trainer's own base beside a server, and the log-probabilities by which the server is compared with it.

    reference = Reference(base, tokenizer)
    table = reference.table(checkpoint)             # of the adapter in a folder; None: of the base
    canary = reference.canary(folder, rank=8)       # writes an adapter with a large known effect, and gives its table
    reference.lend()                                # from now on the trainer has the base; `table` is that of its weights

The places are the tokens of fixed texts (`probes.md`), and at each of them the tokens that the base finds likeliest. A
session publishes while its trainer waits, so the base may be asked then. Nothing here draws a random number of the
session's.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase

from engine.models.adapters import WEIGHTS, check_adapter
from engine.models.base import NotPublished
from engine.models.local.weights import forked_generators, put_adapter
from engine.models.vllm.api import Question
from engine.models.vllm.proof import Table

FIRST = 8
"""A place has at least so many tokens before it."""
MOST_TOKENS = 256
"""The most tokens of one text."""
CANDIDATES = 32
"""How many tokens at a place are kept."""
CANARY_EFFECT = 1.0
"""The mean difference a token that a canary makes at least."""
CANARY_SEED = 20_260
PREFIX = "base_model.model."
"""What PEFT writes before the name of a module in a checkpoint."""


class NoCanary(NotPublished):
    """No adapter of the fixed rule has a large effect on the base."""


class Reference:
    """The base of a trainer (`TrainableBase`) and its log-probabilities at `questions`. `base` is in evaluation."""

    def __init__(self, base: Any, tokenizer: PreTrainedTokenizerBase) -> None:
        self.vocabulary = tokenizer
        self._base = base
        self._lent = False
        texts = resources.files("engine.models.vllm").joinpath("probes.md").read_text("utf-8").split("\n---\n")
        self.texts = [self.ids(text)[:MOST_TOKENS] for text in texts]
        self._kept, self._questions = self._places()

    @property
    def questions(self) -> list[Question]:
        """The places: a prefix each, and the tokens whose log-probabilities the tables have."""
        return self._questions

    def lend(self) -> Any:
        """The base without an adapter; see `TrainableBase`."""
        self._lent = True
        return self._base

    def table(self, adapter: Path | None) -> Table:
        """The log-probabilities of the base with an adapter, or without one. Once the base is lent, of the trainer's
        weights, which must be those of `adapter`. Raises `NotPublished` where they are not, and `ConfigError` for a bad
        adapter."""
        if adapter is None or self._lent:
            if adapter is not None:
                self._check_trained(adapter)
            return self._table(self._base)
        network = put_adapter(self._base, adapter)
        try:
            return self._table(network)
        finally:
            network.unload()

    def canary(self, folder: Path, rank: int) -> Table:
        """Write an adapter with a large effect to `folder`; its table. It depends on the base and the rank only."""
        from peft import LoraConfig, get_peft_model

        base = self.table(None)
        with forked_generators():
            network = get_peft_model(
                self._base, LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear", task_type="CAUSAL_LM")
            ).eval()
        try:
            generator = torch.Generator().manual_seed(CANARY_SEED)
            for name, parameter in network.named_parameters():
                if "lora_" in name:
                    drawn = torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5
                    parameter.data.copy_(drawn * (0.02 if "lora_B" in name else 1.0))
            for _ in range(12):
                table = self._table(network)
                if _apart(base, table) >= CANARY_EFFECT:
                    network.save_pretrained(str(folder))
                    return table
                for name, parameter in network.named_parameters():
                    if "lora_B" in name:
                        parameter.data.mul_(2)
        finally:
            network.unload()
        raise NoCanary("no adapter changes the answers of the base: its weights are damaged")

    def ids(self, text: str) -> list[int]:
        """The token ids of `text`; none is added."""
        return list(self.vocabulary(text, add_special_tokens=False)["input_ids"])

    def _places(self) -> tuple[list[torch.Tensor], list[Question]]:
        kept, questions = [], []
        for ids in self.texts:
            likeliest = self._logprobs(self._base, ids).topk(CANDIDATES, dim=-1).indices
            kept.append(likeliest)
            for place in range(FIRST, len(ids)):
                questions.append(Question(ids[:place], likeliest[place - FIRST].tolist()))
        return kept, questions

    def _table(self, network: Any) -> Table:
        return [
            row
            for ids, kept in zip(self.texts, self._kept, strict=True)
            for row in self._logprobs(network, ids).gather(-1, kept).tolist()
        ]

    def _logprobs(self, network: Any, ids: list[int]) -> torch.Tensor:
        """Log-probabilities `[place][token of the vocabulary]` of what follows each prefix of at least `FIRST` tokens."""
        training = network.training
        network.eval()
        try:
            with torch.inference_mode():
                logits = network(input_ids=torch.tensor([ids[:-1]], device=network.device)).logits[0, FIRST - 1 :]
                found: torch.Tensor = logits.float().log_softmax(dim=-1).cpu()
                return found
        finally:
            network.train(training)

    def _check_trained(self, adapter: Path) -> None:
        """Raises `NotPublished` where a tensor of the trainer is not that of the checkpoint that the server gets."""
        check_adapter(adapter)
        own = dict(self._base.named_parameters())
        for name, saved in load_file(adapter / WEIGHTS).items():
            start, _, last = name.removeprefix(PREFIX).rpartition(".")
            trained = own.get(f"{start}.default.{last}")
            if trained is None or not torch.equal(saved.to(trained.dtype), trained.detach().to(saved.device)):
                raise NotPublished(f"the adapter {adapter} is not the one that was trained: {name} differs")


def _apart(one: Table, other: Table) -> float:
    """The mean difference a token."""
    both = [abs(a - b) for row, its in zip(one, other, strict=True) for a, b in zip(row, its, strict=True)]
    return sum(both) / len(both)
