"""Log-probabilities of trained tokens: in chunks, padded, in bfloat16, and beside those of the sampler."""

import math

import msgspec
import pytest
import torch

from engine.models.base import Message, Sampling
from engine.training import logprobs
from engine.training.batches import micro_batches
from engine.training.network import trainable
from engine.training.samples import TrainingSample
from engine.training.schedule import rate, schedule_depends_on_steps
from engine.training.settings import TrainingSettings
from engine.training.update import Updater, sampler_ratio
from tests.models import small
from tests.training.test_loss import apart, config, network, step, updated


def test_logits_exist_a_chunk_at_a_time_and_give_the_same_gradient(monkeypatch):
    whole, gradient = updated(step())
    sizes = []
    of_chunk = logprobs._of_chunk

    def counting(head, hidden, *more):
        sizes.append(len(hidden))
        return of_chunk(head, hidden, *more)

    monkeypatch.setattr(logprobs, "_of_chunk", counting)
    monkeypatch.setattr(logprobs, "chunk_tokens", lambda vocabulary: 7)
    chunked, same = updated(step())
    assert max(sizes) <= 7 and len(sizes) > 4
    assert chunked.loss == pytest.approx(whole.loss, rel=1e-5, abs=1e-8) and apart(same, gradient) < 1e-5


def test_the_logits_of_a_long_answer_fit_a_chunk():
    assert logprobs.chunk_tokens(151_936) * 151_936 <= logprobs.CHUNK_NUMBERS < 16_384 * 151_936


@pytest.mark.parametrize("training", [{}, {"gradient_checkpointing": True}, {"micro_batch_tokens": 40}], ids=str)
def test_an_update_in_bfloat16_with_an_adapter_in_32_bits_has_the_direction_of_the_plain_one(training):
    _, plain = updated(step())
    made = network()
    causal = made.get_base_model()
    for weight in causal.parameters():
        if not weight.requires_grad:
            weight.data = weight.data.bfloat16()
    kept = {}
    updater = Updater(made, config(learning_rate=0.0, **training), corrects=False)
    updater.optimizer.register_step_pre_hook(
        lambda *given: kept.update(
            {name: one.grad.clone() for name, one in made.named_parameters() if one.requires_grad}
        )
    )
    updater.update(step(), 1)
    assert {one.dtype for one in kept.values()} == {torch.float32}
    mine, theirs = (torch.cat([gradient[name].flatten() for name in plain]) for gradient in (kept, plain))
    assert torch.nn.functional.cosine_similarity(mine, theirs, dim=0) > 0.99


async def test_in_one_process_the_trainer_has_the_probabilities_of_the_sampler():
    """In exact arithmetic they are equal; the two differ by the rounding of 32 bits."""
    local, _ = small.lent()
    asked = [
        await local.curator.complete([Message("user", "where?" * n)], Sampling(max_tokens=8, seed=n))
        for n in range(1, 13)
    ]
    samples = [
        TrainingSample(
            one.tokens.prompt_ids, one.tokens.completion_ids, one.tokens.logprobs, [1] * one.usage.completion, n % 5
        )
        for n, one in enumerate(asked)
    ]
    made = Updater(trainable(local.lend(), config().training), config(), corrects=False).update(samples, 1)
    ratio = made.ratio
    assert abs(ratio.mean - 1) < 1e-4 and abs(ratio.p99 - 1) < 1e-4 and ratio.outside == 0
    assert ratio.tokens == made.tokens > 60
    assert made.corrected_share is None and made.clip_share == 0


def test_a_sampler_that_differs_is_seen_in_the_ratio_and_corrected_up_to_the_cap():
    samples = step()
    exact, _ = updated(samples)
    off = [msgspec.structs.replace(row, logprobs=[-20.0] * len(row.logprobs)) for row in samples]
    made, _ = updated(off, importance_correction="always")
    assert exact.corrected_share is None and made.corrected_share == 1.0
    assert made.ratio.outside == 1.0 and made.ratio.mean > 10


def test_a_ratio_is_summed_up_over_tokens():
    found = sampler_ratio(torch.tensor([1.0] * 98 + [1.04, 1.2]))
    assert (found.mean, found.p99) == pytest.approx((1.0024, 1.04))
    assert (found.outside, found.tokens) == (pytest.approx(0.01), 100)


def test_samples_of_like_length_share_a_batch_within_the_tokens_and_the_longest_come_first():
    lengths = [5, 100, 7, 40, 41, 6]
    assert list(micro_batches(lengths, 90)) == [[1], [4, 3], [2, 5, 0]]
    assert list(micro_batches([], 90)) == []


def test_the_rate_of_each_schedule():
    def rates(**given):
        training = TrainingSettings(steps=6, learning_rate=1.0, **given)
        return [rate(training, number) for number in range(1, 7)]

    assert rates() == [1.0] * 6
    assert rates(warmup_steps=2) == [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert rates(schedule="linear", warmup_steps=2) == pytest.approx([0.5, 1.0, 1.0, 0.75, 0.5, 0.25])
    expected = [0.5 * (1 + math.cos(math.pi * gone / 6)) for gone in range(6)]
    assert rates(schedule="cosine") == pytest.approx(expected)
    assert [
        schedule_depends_on_steps(TrainingSettings(schedule=name)) for name in ("constant", "linear", "cosine")
    ] == [
        False,
        True,
        True,
    ]
