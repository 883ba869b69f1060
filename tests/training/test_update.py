"""The update itself: what it makes of each setting, against the formulas of `by_hand`, over several steps.

Losses and gradients agree to 1e-5. An adapter agrees to a hundredth of one step's learning rate, since AdamW makes a visible
step of the rounding of a gradient near 0.
"""

from functools import cache
from statistics import fmean

import msgspec
import pytest
import torch

from engine.agents.settings import CuratorSettings
from engine.config import ConfigError
from engine.rollouts import rewards
from engine.training.trainer import GrpoSession
from tests.models import small
from tests.training import by_hand
from tests.training.test_trainer import TASKS, config, idle, samples

REWARDS = [[1.0, 3.0, 0.25, 0.5], [2.0, 0.5, 0.125, 0.5], [0.0, 1.0, 1.0, 0.25]]
TOLERANCE = 1e-5
CLOSE = 1e-4
APART = 1e-3


def advantages_of(rollout_rewards):
    """A row's advantage each, in the order of `samples`; None is an advantage of nothing."""
    row = [value for group in (rollout_rewards[:2], rollout_rewards[2:]) for value in rewards.advantages(group)]
    return [value or 0.0 for value in row for _ in range(TASKS)]


def expected(first, steps=REWARDS, **settings):
    made = [(samples(number, row), advantages_of(row)) for number, row in enumerate(steps, start=1)]
    return by_hand.updated(first, made, by_hand.Settings(**settings))


@cache
def plain():
    """The adapter by hand after `REWARDS` with the default settings."""
    return expected(by_hand.first_adapter(config().training.seed, config().training.lora_rank))


async def trained(path, *, steps=REWARDS, temperature=1.0, gradients=None, **training):
    """The adapter before and after a session over the small model, and the session's updates."""
    updates = []

    async def play(step):
        return samples(step, steps[step - 1])

    async def after_update(update):
        updates.append(update)

    settings = config(steps=len(steps), **training)
    session = GrpoSession(
        msgspec.structs.replace(settings, curator=CuratorSettings(temperature=temperature)),
        *small.lent(),
        checkpoints=path,
        play=play,
        after_update=after_update,
        after_step=idle,
    )
    if gradients is not None:
        session.updater.optimizer.register_step_pre_hook(lambda *given: gradients.append(gradient_of(session)))
    first = adapter_of(session)
    await session.run(None)
    return first, adapter_of(session), updates


def adapter_of(session):
    return by_hand.pairs(dict(session.network.named_parameters()))


def gradient_of(session):
    """The gradient of the adapter as it reaches the optimiser."""
    return by_hand.pairs({name: value.grad for name, value in session.network.named_parameters() if "lora" in name})


@pytest.mark.parametrize(
    ("training", "settings"),
    [
        ({"learning_rate": 3e-3}, {"learning_rate": 3e-3}),
        ({"lora_alpha": 32}, {"alpha": 32.0}),
        ({"max_grad_norm": 0.002}, {"max_grad_norm": 0.002}),
        ({"max_grad_norm": 0.0}, {"max_grad_norm": 0.0}),
        ({"temperature": 0.6}, {"temperature": 0.6}),
        ({"kl": 0.5}, {"kl": 0.5}),
        ({"kl": 0.5, "kl_estimator": "k3"}, {"kl": 0.5, "estimator": "k3"}),
        ({"kl": 0.5, "kl_estimator": "k2"}, {"kl": 0.5, "estimator": "k2"}),
        ({"normalisation": "sequence", "max_grad_norm": 0.0}, {"normalisation": "sequence", "max_grad_norm": 0.0}),
        ({"importance_correction": "always"}, {"cap": 2.0}),
        ({"importance_correction": "always", "importance_cap": 0.01}, {"cap": 0.01}),
        ({"weight_decay": 1.0}, {"decay": 1.0}),
        ({"warmup_steps": 2}, {"rates": (5e-3, 1e-2, 1e-2)}),
        ({"schedule": "linear"}, {"rates": (1e-2, 1e-2 * 2 / 3, 1e-2 / 3)}),
        ({"schedule": "cosine"}, {"rates": (1e-2, 0.75e-2, 0.25e-2)}),
        ({"schedule": "linear", "warmup_steps": 1}, {"rates": (1e-2, 1e-2, 0.5e-2)}),
    ],
    ids=lambda given: " ".join(f"{key}={value}" for key, value in given.items()),
)
async def test_a_setting_changes_the_update_as_its_formula_says(tmp_path, training, settings):
    first, got, _ = await trained(tmp_path, **training)
    assert by_hand.distance(got, expected(first, **settings)) < CLOSE
    assert by_hand.distance(got, plain()) > APART


async def test_the_default_is_plain_adamw_at_a_constant_rate_over_every_token_alike(tmp_path):
    first, got, updates = await trained(tmp_path)
    assert by_hand.distance(got, plain()) < CLOSE
    assert by_hand.distance(got, first) > APART
    assert [update.learning_rate for update in updates] == [1e-2] * 3


@pytest.mark.parametrize("estimator", ["k3", "k3_corrected"])
async def test_loss_and_gradient_of_the_kl_term_are_those_of_its_estimator(tmp_path, estimator):
    """Both have one value where the ratio is 1; they differ in the gradient."""
    kept = []
    named = {"kl": 0.5, "kl_estimator": estimator, "max_grad_norm": 0.0}
    first, _, updates = await trained(tmp_path, gradients=kept, **named)
    before = {
        name: tuple(value.requires_grad_() for value in pair) for name, pair in adapter_after(first, 2, named).items()
    }
    values = [value for pair in before.values() for value in pair]
    made = samples(3, REWARDS[2]), advantages_of(REWARDS[2])

    def gradient(estimator):
        loss = by_hand.loss_of(before, *made, by_hand.Settings(kl=0.5, estimator=estimator))
        found = torch.autograd.grad(loss, values)
        return loss.item(), dict(zip(before, zip(found[::2], found[1::2], strict=True), strict=True))

    loss, right = gradient(estimator)
    other_loss, wrong = gradient("k3" if estimator == "k3_corrected" else "k3_corrected")
    assert updates[2].loss == pytest.approx(loss, abs=TOLERANCE) == pytest.approx(other_loss, abs=TOLERANCE)
    assert by_hand.distance(kept[2], right) < TOLERANCE
    assert by_hand.distance(kept[2], wrong) > APART


def adapter_after(first, steps, training):
    """The adapter by hand after so many steps."""
    return expected(
        first,
        REWARDS[:steps],
        kl=training["kl"],
        estimator=training["kl_estimator"],
        max_grad_norm=0.0,
    )


def test_the_estimator_that_is_used_without_a_word_is_named():
    assert config().training.kl_estimator == "k3_corrected"


async def test_the_kl_told_is_k3_averaged_over_the_trained_tokens(tmp_path):
    first, _, updates = await trained(tmp_path, kl=0.5)
    settings = by_hand.Settings(kl=0.5)
    before = expected(first, REWARDS[:2], kl=0.5)
    values = []
    with torch.no_grad():
        for row in samples(3, REWARDS[2]):
            now, base = (by_hand.logprobs(adapter, row, settings) for adapter in (before, {}))
            values += by_hand.kl_of(now, now, base, "k3").tolist()
    assert updates[2].kl == pytest.approx(fmean(values), abs=TOLERANCE)
    assert updates[2].kl > 1e-3


@pytest.mark.parametrize("rank", [1, 4])
@pytest.mark.parametrize("seed", [1, 7])
async def test_the_first_adapter_has_the_rank_named_and_is_drawn_from_the_seed(tmp_path, rank, seed):
    first, got, _ = await trained(tmp_path, steps=REWARDS[:1], lora_rank=rank, seed=seed)
    drawn = by_hand.first_adapter(seed, rank)
    assert by_hand.distance(first, drawn) == 0
    assert {a.shape[0] for a, _ in first.values()} == {b.shape[1] for _, b in first.values()} == {rank}
    assert len(first) == 14 and by_hand.distance(first, by_hand.first_adapter(seed + 1, rank)) > APART
    assert by_hand.distance(got, expected(drawn, REWARDS[:1])) < CLOSE


@pytest.mark.parametrize(("tokens", "sizes"), [(1, [1] * 8), (36, [2, 2, 3, 1]), (1000, [8])])
async def test_how_many_tokens_go_through_the_model_at_once_changes_memory_and_not_the_result(tmp_path, tokens, sizes):
    """The samples have 18, 16, 14, 14, 12, 12, 10 and 8 tokens; the longest come first."""
    seen = []
    forward = torch.nn.Module.__call__

    def counting(module, *arguments, **named):
        if type(module).__name__ == "Qwen3Model" and torch.is_grad_enabled():
            seen.append(named["input_ids"].shape)
        return forward(module, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Module, "__call__", counting)
        _, got, _ = await trained(tmp_path, micro_batch_tokens=tokens)
    assert by_hand.distance(got, plain()) < CLOSE
    assert [rows for rows, _ in seen] == sizes * 3
    assert all(rows == 1 or rows * length <= tokens for rows, length in seen)


# Steps that teach nothing


async def states(path, steps, **training):
    """After each step the adapter and the optimiser's state, and what the step's update said was skipped."""
    after, skipped = [], []

    async def play(step):
        return samples_of(step, steps[step - 1])

    async def after_update(update):
        skipped.append(update.skipped)

    async def after_step(step, checkpoint):
        optimizer = torch.load(checkpoint / "optimizer.pt", weights_only=True)
        moments = {
            key: {name: value.clone() for name, value in state.items()} for key, state in optimizer["state"].items()
        }
        after.append((adapter_of(session), moments))

    session = GrpoSession(
        config(steps=len(steps), **training),
        *small.lent(),
        checkpoints=path,
        play=play,
        after_update=after_update,
        after_step=after_step,
    )
    first = adapter_of(session)
    await session.run(None)
    return first, after, skipped


def samples_of(step, row):
    """The step's samples; a rollout without a reward trains nothing."""
    made = samples(step, row)
    return [
        msgspec.structs.replace(sample, mask=[0] * len(sample.mask)) if sample.reward is None else sample
        for sample in made
    ]


def assert_same(one, other):
    """Bit for bit, the moments and step counts of AdamW included."""
    assert by_hand.distance(one[0], other[0]) == 0
    assert one[1].keys() == other[1].keys()
    assert all(torch.equal(one[1][key][name], other[1][key][name]) for key in one[1] for name in one[1][key])


TEACHES = [1.0, 3.0, 0.25, 0.5]
NOTHING = {
    "nothing was measured": [None] * 4,
    "all groups are flat": [1.0, 1.0, 0.5, 0.5],
    "one group is flat and of one nothing is known": [0.7, 0.7, None, None],
    "of each group one rollout alone was measured": [1.0, None, None, 0.5],
    "rewards that only their rounding tells apart": [0.1 + 0.2, 0.3, 0.7, 0.7],
}


@pytest.mark.parametrize("row", NOTHING.values(), ids=NOTHING)
async def test_a_step_that_teaches_nothing_leaves_weights_and_optimiser_bit_for_bit(tmp_path, row):
    """After real steps AdamW has momentum, which alone would move the adapter."""
    steps = [TEACHES, REWARDS[1], row, row, TEACHES]
    first, after, skipped = await states(tmp_path, steps)
    assert_same(after[1], after[2])
    assert_same(after[2], after[3])
    assert [bool(reason) for reason in skipped] == [False, False, True, True, False]
    assert all(("nothing was measured" in reason) == (row == [None] * 4) for reason in skipped[2:4])
    made = [(samples(number, steps[number - 1]), advantages_of(steps[number - 1])) for number in (1, 2, 5)]
    assert by_hand.distance(after[4][0], by_hand.updated(first, made, by_hand.Settings())) < CLOSE


async def test_skipped_from_the_first_step_on_a_run_can_be_resumed(tmp_path):
    _, after, skipped = await states(tmp_path, [NOTHING["all groups are flat"]] * 2)
    assert skipped == ["the rewards inside each group are equal"] * 2
    assert after[1][1] == {}

    async def play(step):
        return samples(step, TEACHES)

    session = GrpoSession(
        config(steps=3),
        *small.lent(),
        checkpoints=tmp_path,
        play=play,
        after_update=idle,
        after_step=idle,
    )
    await session.run(tmp_path / "step-0002")
    made = [(samples(3, TEACHES), advantages_of(TEACHES))]
    assert by_hand.distance(adapter_of(session), by_hand.updated(after[1][0], made, by_hand.Settings())) < CLOSE


async def test_with_a_kl_term_equal_rewards_still_pull_towards_the_base(tmp_path):
    steps = [TEACHES, NOTHING["all groups are flat"], NOTHING["nothing was measured"]]
    first, after, skipped = await states(tmp_path, steps, kl=0.5)
    made = [(samples(number, row), advantages_of(row)) for number, row in enumerate(steps[:2], start=1)]
    assert by_hand.distance(after[1][0], by_hand.updated(first, made, by_hand.Settings(kl=0.5))) < CLOSE
    assert by_hand.distance(after[0][0], after[1][0]) > APART
    assert_same(after[1], after[2])
    assert skipped == ["", "", "nothing was measured"]


async def test_a_gradient_that_is_zero_everywhere_moves_nothing(tmp_path):
    """A new adapter is the base itself, so in the first step a KL term alone has no gradient yet."""
    first, after, skipped = await states(tmp_path, [NOTHING["all groups are flat"]], kl=0.5)
    assert by_hand.distance(first, after[0][0]) == 0 and after[0][1] == {}
    assert skipped == ["the gradient is zero"]


async def test_a_rollout_without_a_reward_takes_no_part_in_its_groups_update(tmp_path):
    row = [1.0, None, 0.25, 0.5]
    first, after, skipped = await states(tmp_path, [row, row])
    made = [(samples_of(number, row), advantages_of(row)) for number in (1, 2)]
    assert by_hand.distance(after[1][0], by_hand.updated(first, made, by_hand.Settings())) < CLOSE
    assert skipped == ["", ""]


# What cannot be trained with


@pytest.mark.parametrize(
    ("sampling", "told"),
    [
        ({"temperature": 0.0}, "curator.temperature=0"),
        ({"top_p": 0.9}, r"curator.top_p=0.9"),
        ({"top_k": 20}, "curator.top_k=20"),
    ],
)
def test_a_curator_that_draws_from_another_distribution_is_refused(tmp_path, sampling, told):
    with pytest.raises(ConfigError, match=told):
        GrpoSession(
            msgspec.structs.replace(config(), curator=CuratorSettings(**sampling)),
            *small.lent(),
            checkpoints=tmp_path,
            play=idle,
            after_update=idle,
            after_step=idle,
        )
