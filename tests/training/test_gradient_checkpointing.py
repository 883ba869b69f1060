"""`training.gradient_checkpointing` computes activations again in place of keeping them: less memory, the same gradient."""

import pytest
import torch

from engine.models.base import Message, Sampling
from engine.models.local.models import LocalModels
from engine.models.local.settings import LocalModelSettings
from engine.models.local.weights import load_base
from engine.training.trainer import GrpoSession
from tests.models import small
from tests.training.test_trainer import config, idle, samples

REWARDS = [1.0, 3.0, 0.25, 0.5]
GREEDY = Sampling(temperature=0, max_tokens=8)


async def stepped(path, *, gradient_checkpointing):
    """One step over the pocket model: its gradient, the passes through its first layer in the update, and what the curator
    answers after it."""
    passes, kept = [], {}
    base = load_base(LocalModelSettings())
    base.model.layers[0].mlp.register_forward_pre_hook(lambda *given: passes.append(torch.is_inference_mode_enabled()))
    local = LocalModels(base, small.tokenizer(), context=20480)

    async def play(step):
        return samples(step, REWARDS)

    session = GrpoSession(
        config(gradient_checkpointing=gradient_checkpointing, max_grad_norm=0.0),
        local,
        local,
        checkpoints=path,
        play=play,
        after_update=idle,
        after_step=idle,
    )
    session.updater.optimizer.register_step_pre_hook(
        lambda *given: kept.update(
            {name: one.grad.clone() for name, one in session.network.named_parameters() if one.requires_grad}
        )
    )
    await session.run(None)
    updates = passes.count(False)
    answer = await local.models.curator.complete([Message("user", "where is the mug?")], GREEDY)
    return kept, updates, answer


async def test_the_gradient_is_the_same_and_the_layers_are_computed_twice(tmp_path):
    plain, once, said = await stepped(tmp_path / "plain", gradient_checkpointing=False)
    checkpointed, twice, said_too = await stepped(tmp_path / "checkpointed", gradient_checkpointing=True)
    assert plain.keys() == checkpointed.keys() and len(plain) > 10
    assert max(float(gradient.abs().max()) for gradient in plain.values()) > 1e-3
    for name, gradient in plain.items():
        assert torch.allclose(gradient, checkpointed[name], rtol=0, atol=1e-6), name
    assert (once, twice) == (2, 4)  # two micro batches
    assert said.text == said_too.text and said.tokens.logprobs == pytest.approx(said_too.tokens.logprobs, abs=1e-5)
