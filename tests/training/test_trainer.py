"""GRPO steps against the method's own formulas written out here, on samples that no model needs to have played."""

import asyncio
import copy
import resource
import shutil
from contextlib import contextmanager

import pytest
import torch

from engine.config import Config
from engine.rollouts import rewards
from engine.runs.errors import WriteFailed
from engine.training import state
from engine.training.samples import TrainingSample
from engine.training.settings import TrainingSettings
from engine.training.trainer import GrpoSession
from tests.models import small

GROUPS, ROLLOUTS, TASKS = 2, 2, 2
ROWS = GROUPS * ROLLOUTS * TASKS


class Stop(Exception):
    """Ends a session from inside its play."""


def config(**training):
    settings = {
        "steps": 1,
        "groups": GROUPS,
        "rollouts": ROLLOUTS,
        "tasks": TASKS,
        "learning_rate": 1e-2,
        "lora_rank": 4,
        "lora_alpha": 8,
        "micro_batch_tokens": 72,  # two micro-batches of four of the samples below
    }
    return Config("test", training=TrainingSettings(**{**settings, **training}))


def samples(step, rollout_rewards):
    """A step's rows: prompts and completions of all lengths; one reward a rollout."""
    draw = torch.Generator().manual_seed(step)

    def ids(length):
        return torch.randint(3, 200, (length,), generator=draw).tolist()

    rows = []
    for number in range(ROWS):
        completion = ids(3 + number % 4)
        reward = rollout_rewards[number // TASKS]
        rows.append(
            TrainingSample(ids(5 + number), completion, [-1.0] * len(completion), [1] * len(completion), reward)
        )
    return rows


def idle(*given):
    async def nothing(*arguments):
        return None

    return nothing(*given)


def make(path, play, *, after_update=idle, after_step=idle, **training):
    """A session over the small model, always with the same first adapter."""
    torch.manual_seed(3)
    return GrpoSession(
        config(**training),
        *small.lent(),
        checkpoints=path,
        play=play,
        after_update=after_update,
        after_step=after_step,
    )


def playing(rollout_rewards):
    async def play(step):
        return samples(step, rollout_rewards)

    return play


def adapter_of(session):
    return {name: value.clone() for name, value in session.network.named_parameters() if value.requires_grad}


# The advantage, the loss and its gradient


@pytest.mark.parametrize(
    "rollout_rewards",
    [[1.0, 3.0, 0.25, 0.5], [None, 2.0, 0.1, 0.4], [None, None, 0.1, 0.4]],
    ids=["all measured", "one unmeasured", "a group unmeasured"],
)
async def test_the_update_trains_on_the_advantages_that_the_log_has(tmp_path, rollout_rewards):
    """A = r − mean(r) over each group's measured rollouts; an unmeasured rollout trains nothing, and is no 0 in the mean."""
    session = make(tmp_path, playing(rollout_rewards))
    rows = session.updater.rows(samples(1, rollout_rewards))
    logged = [rewards.advantages(rollout_rewards[:2]), rewards.advantages(rollout_rewards[2:])]
    expected = [value for row in logged for value in row for _ in range(TASKS) if value]
    assert [row.advantage for row in rows] == pytest.approx(expected, abs=1e-12)


async def test_the_loss_and_its_gradient_are_the_methods_own(tmp_path):
    """−Σ A·ρ over all tokens of all calls, over their number, with ρ = 1 in the first and only update of a batch."""
    rows = samples(1, [1.0, 3.0, 0.25, 0.5])
    rows[2] = TrainingSample([0], [0], [0.0], [0], 3.0)  # a position without an answer
    advantages = [-1.0, -1.0, 1.0, 1.0, -0.125, -0.125, 0.125, 0.125]
    tokens = sum(sum(row.mask) for row in rows)
    seen, updates = {}, []

    async def play(step):
        network = session.network
        with torch.enable_grad():
            loss = sum(
                -advantage * torch.exp(logprob - logprob.detach()).sum() / tokens
                for row, advantage in zip(rows, advantages, strict=True)
                if sum(row.mask)
                for logprob in [logprobs_of(network, row)]
            )
            gradients = torch.autograd.grad(loss, [p for p in network.parameters() if p.requires_grad])
        seen["loss"] = loss.item()
        seen["norm"] = torch.stack([gradient.norm() for gradient in gradients]).norm().item()
        return rows

    async def after_update(update):
        updates.append(update)

    session = make(tmp_path, play, after_update=after_update)
    await session.run(None)
    [update] = updates
    assert update.step == 1
    assert update.loss == pytest.approx(seen["loss"], rel=1e-4)
    assert update.grad_norm == pytest.approx(seen["norm"], rel=1e-3)
    assert update.learning_rate == 1e-2
    assert update.kl is None and update.entropy > 0


def logprobs_of(network, row):
    ids = torch.tensor([row.prompt_ids + row.completion_ids])
    logits = network(ids).logits[0, len(row.prompt_ids) - 1 : -1]
    return logits.log_softmax(-1).gather(-1, torch.tensor(row.completion_ids)[:, None])[:, 0]


async def test_equal_rewards_teach_nothing(tmp_path):
    session = make(tmp_path, playing([1.0, 1.0, 0.5, 0.5]))
    before = adapter_of(session)
    await session.run(None)
    after = adapter_of(session)
    assert all(torch.equal(before[name], after[name]) for name in before)


async def test_the_adapter_learns_and_the_base_stays(tmp_path):
    session = make(tmp_path, playing([1.0, 3.0, 0.25, 0.5]))
    base = copy.deepcopy({name: value for name, value in session.network.named_parameters() if "lora" not in name})
    before = adapter_of(session)
    await session.run(None)
    after = adapter_of(session)
    assert set(before) and all("lora" in name for name in before)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    now = dict(session.network.named_parameters())
    assert all(torch.equal(value, now[name]) for name, value in base.items())


# Steps, checkpoints and resuming


async def test_more_decides_before_each_step_whether_it_is_made(tmp_path):
    """The number of steps may change while a run is on, and a run may be asked to stop after a step."""
    asked, played = [], []

    async def play(step):
        played.append(step)
        return samples(step, [1.0, 3.0, 0.25, 0.5])

    async def more(step):
        asked.append(step)
        return step <= 3

    torch.manual_seed(3)
    await GrpoSession(
        config(steps=1), *small.lent(), checkpoints=tmp_path, play=play, after_update=idle, after_step=idle, more=more
    ).run(None)
    assert (asked, played) == ([1, 2, 3, 4], [1, 2, 3])


async def test_each_step_is_played_then_told_then_saved_whole(tmp_path):
    order = []

    async def play(step):
        order.append(("play", step))
        return samples(step, [1.0, 3.0, 0.25, 0.5])

    async def after_update(update):
        order.append(("update", update.step, (tmp_path / f"step-{update.step:04d}").exists()))

    async def after_step(step, checkpoint):
        assert checkpoint == tmp_path / f"step-{step:04d}"
        assert {"adapter_model.safetensors", "optimizer.pt", "rng_state.pth"} <= {f.name for f in checkpoint.iterdir()}
        order.append(("saved", step))

    await make(tmp_path, play, after_update=after_update, after_step=after_step, steps=2).run(None)
    assert order == [
        *[("play", 1), ("update", 1, False), ("saved", 1)],
        *[("play", 2), ("update", 2, False), ("saved", 2)],
    ]


async def test_resumed_it_gets_what_an_uninterrupted_session_gets(tmp_path):
    """The adapter, the optimiser's moments and the order of the rows all come from the checkpoint."""
    whole, broken, later = tmp_path / "whole", tmp_path / "broken", []
    uninterrupted = make(whole, playing([1.0, 3.0, 0.25, 0.5]), steps=4)
    await uninterrupted.run(None)

    async def until_three(step):
        if step == 3:
            raise Stop
        return samples(step, [1.0, 3.0, 0.25, 0.5])

    with pytest.raises(Stop):
        await make(broken, until_three, steps=4).run(None)

    async def from_three(step):
        later.append(step)
        return samples(step, [1.0, 3.0, 0.25, 0.5])

    torch.manual_seed(99)
    resumed = make(broken, from_three, steps=4)
    await resumed.run(broken / "step-0002")
    assert later == [3, 4]
    expected, got = adapter_of(uninterrupted), adapter_of(resumed)
    assert all(torch.equal(expected[name], got[name]) for name in expected)


async def test_resumed_from_the_last_step_there_is_nothing_left_to_play(tmp_path):
    await make(tmp_path, playing([1.0, 3.0, 0.25, 0.5])).run(None)

    async def never(step):
        raise AssertionError(f"step {step} is played again")

    await make(tmp_path, never).run(tmp_path / "step-0001")


async def test_the_model_plays_with_what_it_has_learned_so_far(tmp_path):
    """Rollouts of step 2 are drawn from the adapter that step 1 updated."""
    adapters = []

    async def play(step):
        adapters.append(adapter_of(session))
        return samples(step, [1.0, 3.0, 0.25, 0.5])

    session = make(tmp_path, play, steps=2)
    await session.run(None)
    assert any(not torch.equal(adapters[0][name], adapters[1][name]) for name in adapters[0])


# What goes wrong


async def test_what_play_raises_ends_the_session(tmp_path):
    async def play(step):
        raise Stop

    with pytest.raises(Stop):
        await asyncio.wait_for(make(tmp_path, play).run(None), 60)


async def test_a_step_with_too_few_samples_is_not_trained_on(tmp_path):
    async def play(step):
        return samples(step, [1.0, 3.0, 0.25, 0.5])[:-1]

    with pytest.raises(RuntimeError, match="step 1 made 7 samples where it has 8"):
        await make(tmp_path, play).run(None)


async def test_another_fault_while_a_checkpoint_is_made_is_not_blamed_on_the_disk(tmp_path):
    def broken():
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    session = make(tmp_path, playing([1.0, 3.0, 0.25, 0.5]))
    session.updater.optimizer.state_dict = broken
    with pytest.raises(RuntimeError, match="illegal memory access") as raised:
        await session.run(None)
    assert not isinstance(raised.value, WriteFailed)


async def test_a_checkpoint_does_not_make_a_deleted_run_again(tmp_path):
    play = playing([1.0, 3.0, 0.25, 0.5])

    (tmp_path / "run").mkdir()

    async def play_and_delete(step):
        shutil.rmtree(tmp_path / "run")
        return await play(step)

    with pytest.raises(WriteFailed, match=r"step 1 cannot be written: .*run is gone"):
        await make(tmp_path / "run" / "checkpoints", play_and_delete).run(None)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("largest", ["adapter_model.safetensors", "optimizer.pt"])
async def test_whichever_file_cannot_be_written_the_disk_is_named(tmp_path, largest):
    """safetensors, torch and Python each have an error of their own."""
    await make(tmp_path / "whole", playing([1.0, 3.0, 0.25, 0.5])).run(None)
    size = (tmp_path / "whole" / "step-0001" / largest).stat().st_size
    session = make(tmp_path / "full", playing([1.0, 3.0, 0.25, 0.5]))
    with no_file_over(size - 1), pytest.raises(WriteFailed, match=r"of step 1 cannot be written .* free some space"):
        await session.run(None)
    assert list((tmp_path / "full").glob("step-*")) == []


@pytest.mark.parametrize("lost", [1, 5000, 200_000])
@pytest.mark.parametrize("name", ["run", "läufe"])
def test_wherever_in_the_optimisers_file_the_disk_is_full_it_is_named(tmp_path, name, lost):
    """torch has other ways for a file whose name is not ASCII, and for the end of a file."""
    network, optimizer = torch.nn.Linear(4, 4), torch.optim.SGD([torch.nn.Parameter(torch.zeros(50000))], momentum=0.9)
    optimizer.param_groups[0]["params"][0].grad = torch.ones(50000)
    optimizer.step()
    run = tmp_path / name
    run.mkdir()
    state.write(run / "checkpoints" / ".partial" / "whole", network, optimizer, 1)
    size = (run / "checkpoints" / ".partial" / "whole" / "optimizer.pt").stat().st_size
    with no_file_over(size - lost), pytest.raises(WriteFailed, match=r"of step 1 cannot be written .* free some space"):
        state.write(run / "checkpoints" / ".partial" / "full", network, optimizer, 1)


@contextmanager
def no_file_over(size):
    """Writing fails where a file gets more bytes than `size`, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_it_prints_nothing_of_its_own(tmp_path, capfd, recwarn):
    await make(tmp_path, playing([1.0, 3.0, 0.25, 0.5])).run(None)
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""
    assert not [str(warning.message) for warning in recwarn if warning.category is UserWarning]


async def test_a_step_in_which_nothing_was_measured_changes_nothing_and_goes_on(tmp_path):
    updates = []

    async def play(step):
        return [TrainingSample([0], [0], [0.0], [0], None) for _ in range(ROWS)]

    async def after_update(update):
        updates.append(update)

    session = make(tmp_path, play, after_update=after_update)
    before = adapter_of(session)
    await session.run(None)
    after = adapter_of(session)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert [(update.loss, update.grad_norm) for update in updates] == [(0.0, 0.0)]
