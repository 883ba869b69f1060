"""Numbers that are none: the session ends with a sentence at the first one, and the newest checkpoint is a good one."""

import asyncio

import pytest
import torch

from engine.models.base import Message, Sampling
from engine.runs.errors import RunError
from engine.training.checkpoints import latest
from engine.training.diverged import Diverged
from engine.training.samples import TrainingSample
from tests.training.test_trainer import make, samples

TEACHES = [1.0, 3.0, 0.25, 0.5]
NAN, INFINITE = float("nan"), float("inf")
SHORT = Sampling(max_tokens=4)


def spoil(network, name, value=NAN):
    """One weight of the base or the adapter is no number."""
    with torch.no_grad():
        next(weight for key, weight in network.named_parameters() if name in key).view(-1)[0] = value


async def answered(session, role, way):
    """A request to the session's model, in a group of tasks as rollouts make it."""
    messages = [Message("user", "where is the mug?")]
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            if way == "complete":
                group.create_task(getattr(session._base, role).complete(messages, SHORT))
            else:
                group.create_task(getattr(session._base, role).loglikelihood(messages, "", ["go", "wait"]))


@pytest.mark.parametrize("way", ["complete", "score"])
@pytest.mark.parametrize("role", ["executor", "curator"])
async def test_from_the_start_the_base_model_is_at_fault(tmp_path, role, way):
    async def play(step):
        spoil(session.network, "down_proj.base_layer")
        await answered(session, role, way)

    session = make(tmp_path, play)
    with pytest.raises(Diverged) as raised:
        await session.run(None)
    told = str(raised.value)
    assert told.startswith(f"step 1, rollouts: the {role}'s log-probabilities are not finite")
    assert "check model.weights" in told
    assert latest(tmp_path) is None


async def test_after_some_steps_the_learning_rate_is_and_the_checkpoint_of_these_weights_is_named(tmp_path):
    async def play(step):
        if step == 3:
            spoil(session.network, "lora_B")
            await answered(session, "curator", "complete")
        return samples(step, TEACHES)

    session = make(tmp_path, play, steps=4)
    with pytest.raises(Diverged) as raised:
        await session.run(None)
    told = str(raised.value)
    assert told.startswith("step 3, rollouts: the curator's log-probabilities are not finite")
    assert "lower training.learning_rate (it is 0.01)" in told
    assert f"remove {tmp_path / 'step-0002'}, from which these numbers come, and resume" in told
    assert latest(tmp_path) == (2, tmp_path / "step-0002")


async def test_a_measurement_after_a_step_says_so_too(tmp_path):
    async def after_step(step, checkpoint):
        spoil(session.network, "lora_A")
        await answered(session, "curator", "complete")

    async def play(step):
        return samples(step, TEACHES)

    session = make(tmp_path, play, after_step=after_step)
    with pytest.raises(Diverged, match="step 1, after the update: the curator's log-probabilities"):
        await session.run(None)


@pytest.mark.parametrize(
    ("field", "value"), [("logprobs", NAN), ("logprobs", -INFINITE), ("reward", NAN), ("reward", INFINITE)]
)
async def test_samples_with_what_is_no_number_are_never_trained_on(tmp_path, field, value):
    async def play(step):
        made = samples(step, TEACHES)
        fields = {name: getattr(made[3], name) for name in TrainingSample.__struct_fields__}
        fields[field] = value if field == "reward" else [-1.0, value, -1.0][: len(made[3].logprobs)]
        made[3] = TrainingSample(**fields)
        return made if step == 2 else samples(step, TEACHES)

    session = make(tmp_path, play, steps=3)
    with pytest.raises(Diverged, match=r"step 2, rollouts: .* not finite.*from step 1"):
        await session.run(None)
    assert latest(tmp_path)[0] == 1


@pytest.mark.parametrize(("weight", "kl"), [("lm_head", 0.0), ("lora_A", 0.5), ("q_proj.base_layer", 0.5)])
async def test_a_loss_that_is_no_number_ends_the_session_before_the_optimiser(tmp_path, weight, kl):
    """Found in the update, where no rollout asked the model."""
    steps = []

    async def play(step):
        if step == 2:
            spoil(session.network, weight)
        return samples(step, TEACHES)

    async def after_update(update):
        steps.append(update.step)

    session = make(tmp_path, play, after_update=after_update, steps=3, kl=kl)
    with pytest.raises(Diverged, match="step 2, update: the loss is nan"):
        await session.run(None)
    assert steps == [1] and latest(tmp_path)[0] == 1


@pytest.mark.parametrize("cap", [0.0, 1.0])
async def test_a_gradient_that_is_no_number_ends_the_session_before_the_optimiser(tmp_path, cap):
    """The length of a gradient can be infinite where each of its numbers is finite; cut to the cap it would be all 0."""

    async def play(step):
        if step == 2:
            for name, weight in session.network.named_parameters():
                if "lora_B" in name:
                    weight.register_hook(lambda gradient: gradient * 1e30)
        return samples(step, TEACHES)

    session = make(tmp_path, play, steps=3, max_grad_norm=cap)
    with pytest.raises(Diverged, match="step 2, update: the length of the gradient is inf"):
        await session.run(None)
    assert latest(tmp_path)[0] == 1


async def test_what_the_optimiser_made_no_number_never_becomes_a_checkpoint(tmp_path):
    async def play(step):
        if step == 2:
            for group in session.updater.optimizer.param_groups:
                group["betas"] = (0.9, float("nan"))
        return samples(step, TEACHES)

    session = make(tmp_path, play, steps=3)
    with pytest.raises(Diverged, match=r"step 2, update: a weight or the optimiser is not finite"):
        await session.run(None)
    assert latest(tmp_path)[0] == 1
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-0001"]


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "optimizer.pt"])
@pytest.mark.parametrize("how", ["gone", "cut"])
async def test_a_damaged_checkpoint_is_not_resumed_from(tmp_path, file, how):
    async def play(step):
        return samples(step, TEACHES)

    await make(tmp_path, play, steps=1).run(None)
    path = tmp_path / "step-0001" / file
    content = path.read_bytes()
    path.unlink()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match=rf"step-0001 cannot be resumed from: .*{file}"):
        await make(tmp_path, play, steps=2).run(tmp_path / "step-0001")
