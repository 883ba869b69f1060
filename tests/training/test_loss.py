"""The loss and its gradient, in each choice: against formulas written out here, and against TRL's trainer as the oracle.

Samples are drawn at random, with answers of all lengths, and sampler's log-probabilities that differ from the trainer's.
"""

import random

import msgspec
import pytest
import torch
from transformers import GenerationConfig

from engine.agents.settings import CuratorSettings
from engine.config import Config
from engine.rollouts.rewards import advantages as logged
from engine.training import loss
from engine.training.network import trainable
from engine.training.samples import TrainingSample
from engine.training.settings import TrainingSettings
from engine.training.update import Updater
from tests.models import small
from tests.training import by_hand

NEAR = 1e-5
ROLLOUTS = 3
LONGEST = 9


def config(**training):
    settings = {"groups": 2, "rollouts": ROLLOUTS, "tasks": 2, "lora_rank": 4, "lora_alpha": 8, "max_grad_norm": 0.0}
    curator = CuratorSettings(max_tokens=LONGEST)
    return Config("test", training=TrainingSettings(**{**settings, **training}), curator=curator)


def network(seed=5):
    """The small model with an adapter that is not the base any more."""
    made = trainable(small.base(), config().training)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        for name, value in made.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.2)
    return made


def step(seed=1, *, unmeasured=False):
    """The samples of two groups of three rollouts; the second group's last rollout may be unmeasured."""
    draw = random.Random(seed)
    rows = []
    for rollout in range(2 * ROLLOUTS):
        reward = None if unmeasured and rollout == 2 * ROLLOUTS - 1 else draw.random() * 2
        for _ in range(2):
            prompt = [draw.randrange(3, 200) for _ in range(draw.randrange(2, 12))]
            answer = [draw.randrange(3, 200) for _ in range(draw.randrange(1, LONGEST + 1))]
            sampled = [-draw.random() * 8 for _ in answer]
            rows.append(TrainingSample(prompt, answer, sampled, [int(reward is not None)] * len(answer), reward))
    return rows


def updated(samples, **training):
    """The loss and the gradient, as {name: tensor}, of an update over `samples`."""
    kept = {}
    made = network()
    updater = Updater(made, config(learning_rate=0.0, **training), corrects=False)

    def keep(*given):
        kept.update({name: one.grad.clone() for name, one in made.named_parameters() if one.grad is not None})

    updater.optimizer.register_step_pre_hook(keep)
    return updater.update(samples, 1), kept


def apart(mine, theirs):
    """The length of the difference of two gradients, in units of the length of theirs."""
    length = torch.stack([theirs[name].double().norm() for name in theirs]).norm()
    return float(torch.stack([(mine[name].double() - theirs[name].double()).norm() for name in theirs]).norm() / length)


CHOICES = [
    {},
    {"normalisation": "sequence"},
    {"normalisation": "constant"},
    {"advantage_scale": "std"},
    {"kl": 0.3, "kl_estimator": "k2"},
    {"kl": 0.3, "kl_estimator": "k3"},
    {"kl": 0.3, "kl_estimator": "k3_corrected"},
    {"importance_correction": "always", "importance_cap": 2.0},
    {"importance_correction": "always", "importance_cap": 0.5, "normalisation": "sequence", "advantage_scale": "std"},
    {"importance_correction": "always", "kl": 0.3, "normalisation": "constant"},
]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_loss_and_gradient_of_each_choice_are_those_of_a_function_that_was_written_apart(choice):
    samples = step(unmeasured=True)
    made, gradient = updated(samples, **choice)
    adapter = by_hand.pairs(dict(network().named_parameters()))
    values = [value.requires_grad_() for pair in adapter.values() for value in pair]
    settings = by_hand.Settings(
        kl=choice.get("kl", 0.0),
        estimator=choice.get("kl_estimator", "k3_corrected"),
        normalisation=choice.get("normalisation", "token"),
        most=LONGEST,
        cap=choice.get("importance_cap", 2.0) if "importance_correction" in choice else None,
    )
    rewards = [row.reward for row in samples[::2]]
    groups = [rewards[:ROLLOUTS], rewards[ROLLOUTS:]]
    of_group = by_hand.scaled if choice.get("advantage_scale") == "std" else logged
    found = [iter(of_group([reward for reward in group if reward is not None])) for group in groups]
    advantages = [
        0.0 if reward is None else next(found[number]) for number, group in enumerate(groups) for reward in group
    ]
    total = by_hand.loss_of(adapter, samples, [value for value in advantages for _ in range(2)], settings)
    theirs = torch.autograd.grad(total, values)
    named = by_hand.pairs(gradient)
    mine = {f"{name}/{index}": value for name, pair in named.items() for index, value in enumerate(pair)}
    right = {f"{name}/{index}": theirs[2 * n + index] for n, name in enumerate(adapter) for index in (0, 1)}
    assert made.loss == pytest.approx(total.item(), rel=NEAR, abs=NEAR * 1e-2)
    assert apart(mine, right) < NEAR
    if choice:
        _, default = updated(samples)
        assert apart(gradient, default) > 1e-3, "the choice changes nothing"


def test_the_surrogate_is_clipped_on_each_side_by_its_own_bound():
    now = torch.linspace(-0.9, 0.9, 13, dtype=torch.float64).requires_grad_()
    old = torch.zeros(13, dtype=torch.float64)
    for advantage in (1.5, -0.7):
        each, clipped = loss.surrogate(now, old, torch.tensor(advantage), low=0.2, high=0.28)
        expected = by_hand.surrogate(now, old, advantage, 0.2, 0.28)
        assert torch.allclose(each, expected, rtol=NEAR)
        mine, theirs = (torch.autograd.grad(one.sum(), now, retain_graph=True)[0] for one in (each, expected))
        assert torch.allclose(mine, theirs, rtol=NEAR)
        assert torch.equal(clipped, mine == 0)
        ratio = now.exp()
        assert torch.equal(clipped, (ratio > 1.28) if advantage > 0 else (ratio < 0.8))


def test_the_correction_is_the_ratio_of_the_probabilities_up_to_the_cap_and_has_no_gradient():
    now = torch.tensor([-1.0, -1.0, -1.0]).requires_grad_()
    found = loss.correction(now, torch.tensor([-1.0, -0.965, -5.0]), 2.0)
    assert found.tolist() == pytest.approx([1.0, 0.9656, 2.0], abs=1e-4)
    assert not found.requires_grad


def test_equal_rewards_have_no_advantage_whatever_the_scale():
    assert loss.advantages([0.3, 0.1 + 0.2, None], "std") == [0.0, 0.0, 0.0]
    assert loss.advantages([None, None], "none") == [0.0, 0.0]


def test_rows_without_a_gradient_do_not_go_through_the_model_and_count_in_the_normalisation():
    samples = step()
    flat = [
        msgspec.structs.replace(row, reward=1.0) if number < 2 * ROLLOUTS else row for number, row in enumerate(samples)
    ]
    made, gradient = updated(flat)
    second = flat[2 * ROLLOUTS :]
    assert made.tokens == sum(len(row.completion_ids) for row in second)
    assert made.sequence_tokens == sum(len(row.prompt_ids) + len(row.completion_ids) for row in second)
    share = made.tokens / sum(len(row.completion_ids) for row in flat)
    alone, only = updated(second, groups=1)
    assert made.loss == pytest.approx(alone.loss * share, rel=NEAR)
    assert apart(gradient, {name: value * share for name, value in only.items()}) < NEAR


def test_one_update_raises_the_tokens_of_the_better_rollout_and_lowers_those_of_the_worse():
    samples = step()
    made = network()
    updater = Updater(made, config(learning_rate=1e-3), corrects=False)
    advantages = {id(row.sample): row.advantage for row in updater.rows(samples)}

    def likely(row):
        with torch.no_grad():
            return sum(by_hand.logprobs(by_hand.pairs(dict(made.named_parameters())), row, by_hand.Settings()).tolist())

    best = max(samples, key=lambda row: advantages[id(row)])
    worst = min(samples, key=lambda row: advantages[id(row)])
    before = likely(best), likely(worst)
    updater.update(samples, 1)
    assert likely(best) > before[0] + 1e-3 and likely(worst) < before[1] - 1e-3


# TRL's trainer as the oracle


def oracle(samples, path, **settings):
    """TRL's loss of these samples as one batch, and its gradient of the adapter."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    made = network()
    base = made.get_base_model()
    base.generation_config = GenerationConfig(pad_token_id=0, eos_token_id=2)
    trainer = GRPOTrainer(
        model=made,
        args=GRPOConfig(
            output_dir=str(path),
            per_device_train_batch_size=len(samples),
            num_generations=len(samples) // 2,
            max_completion_length=LONGEST,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to=[],
            **settings,
        ),
        processing_class=small.tokenizer(),
        train_dataset=Dataset.from_list([{"prompt": "a"}] * len(samples)),
        reward_funcs=[lambda **given: [0.0]],
    )
    rewards = torch.tensor([row.reward for row in samples]).view(2, -1)
    if trainer.beta:
        with torch.no_grad(), made.disable_adapter():
            base_logprobs = [logprobs_of(made, row) for row in samples]
    inputs = padded_inputs(samples)
    inputs["advantages"] = (rewards - rewards.mean(1, keepdim=True)).flatten()
    if trainer.beta:
        inputs["ref_per_token_logps"] = right_padded([row.tolist() for row in base_logprobs]).float()
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    total = trainer._compute_loss(trainer.model, inputs)
    total.backward()
    gradient = {name: value.grad for name, value in made.named_parameters() if value.grad is not None}
    return total.item(), gradient


def logprobs_of(model, row):
    logits = model(torch.tensor([row.prompt_ids + row.completion_ids])).logits[0, len(row.prompt_ids) - 1 : -1]
    return logits.log_softmax(-1).gather(-1, torch.tensor(row.completion_ids)[:, None])[:, 0]


def right_padded(rows):
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])


def padded_inputs(samples):
    """What TRL's loss takes: prompts padded on the left, completions on the right."""
    left = max(len(row.prompt_ids) for row in samples)
    prompts = [[0] * (left - len(row.prompt_ids)) + row.prompt_ids for row in samples]
    masks = [[0] * (left - len(row.prompt_ids)) + [1] * len(row.prompt_ids) for row in samples]
    return {
        "prompt_ids": torch.tensor(prompts),
        "prompt_mask": torch.tensor(masks),
        "completion_ids": right_padded([row.completion_ids for row in samples]),
        "completion_mask": right_padded([row.mask for row in samples]),
        "num_items_in_batch": torch.tensor(sum(sum(row.mask) for row in samples)),
    }


@pytest.mark.parametrize(
    ("training", "theirs"),
    [
        ({}, {"loss_type": "dapo"}),
        ({"normalisation": "sequence"}, {"loss_type": "grpo"}),
        ({"normalisation": "constant"}, {"loss_type": "dr_grpo"}),
        ({"kl": 0.3, "kl_estimator": "k3"}, {"loss_type": "dapo", "beta": 0.3, "use_bias_correction_kl": False}),
        ({"kl": 0.3}, {"loss_type": "dapo", "beta": 0.3, "use_bias_correction_kl": True}),
    ],
    ids=str,
)
def test_trls_trainer_has_the_same_loss_and_gradient_for_the_same_samples(tmp_path, training, theirs):
    samples = step()
    made, gradient = updated(samples, **training)
    total, expected = oracle(samples, tmp_path, **theirs)
    assert made.loss == pytest.approx(total, rel=NEAR, abs=1e-7)
    assert gradient.keys() == expected.keys() and apart(gradient, expected) < NEAR
