"""Full fine-tuning: all weights of a copy of the base are trained, and the base itself is the executor, bit for bit."""

import json
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.config import ConfigError, load_profile
from engine.jobs.curate import check as check_curate
from engine.jobs.registry import JOBS
from engine.models.base import Message, NotPublished, Sampling
from engine.runs.errors import RunError
from engine.system.plan import machine_of, plan
from engine.system.preflight import check
from engine.system.published import departures
from engine.training.trainer import GrpoSession
from tests.models import small
from tests.training import by_hand
from tests.training.test_trainer import config, idle, samples
from tests.training.test_update import REWARDS, advantages_of

CHAT = [Message("user", "where is the mug?")]
SAMPLING = Sampling(temperature=1.0, max_tokens=12, seed=5)
RATE = 1e-3


def session_of(path, local, steps=REWARDS, *, after_update=idle, played=None, **training):
    async def play(step):
        if played is not None:
            await played(step)
        return samples(step, steps[step - 1])

    settings = config(steps=len(steps), **{"method": "full", "learning_rate": RATE, **training})
    return GrpoSession(settings, local, local, checkpoints=path, play=play, after_update=after_update, after_step=idle)


def weights_of(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def logprobs(model, row):
    """ln p of each completion token."""
    logits = model(torch.tensor([row.prompt_ids + row.completion_ids])).logits[0, len(row.prompt_ids) - 1 : -1]
    return logits.log_softmax(-1).gather(-1, torch.tensor(row.completion_ids)[:, None])[:, 0]


def by_torch(steps, *, kl=0.0):
    """All weights in 64 bits after plain AdamW steps on the method's loss."""
    model, base = small.base().double().requires_grad_(True), small.base().double()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    for number, row_rewards in enumerate(steps, start=1):
        rows = samples(number, row_rewards)
        tokens = sum(len(row.completion_ids) for row in rows)
        total = torch.zeros((), dtype=torch.float64)
        for row, advantage in zip(rows, advantages_of(row_rewards), strict=True):
            now = logprobs(model, row)
            total = total - (torch.exp(now - now.detach()) * advantage).sum() / tokens
            if kl:
                with torch.no_grad():
                    frozen = logprobs(base, row)
                total = total + kl * by_hand.kl_of(now, now.detach(), frozen, "k3_corrected").sum() / tokens
        optimizer.zero_grad()
        total.backward()
        length = math.sqrt(sum(float(one.grad.square().sum()) for one in model.parameters()))
        for one in model.parameters():
            one.grad *= min(1.0, 1.0 / (length + 1e-6))
        optimizer.step()
    return weights_of(model)


@pytest.mark.parametrize("kl", [0.0, 0.5])
async def test_an_update_of_all_weights_is_that_of_plain_torch(tmp_path, kl):
    """The KL term is measured from the frozen base. AdamW makes a visible step of the rounding of a gradient near 0, so a
    few numbers may be a hundredth of a step apart."""
    session = session_of(tmp_path, small.lent()[0], kl=kl)
    await session.run(None)
    got, wanted, first = weights_of(session.network), by_torch(REWARDS, kl=kl), weights_of(small.base())
    assert got.keys() == wanted.keys() and all(value.dtype == torch.float32 for value in got.values())
    apart = torch.cat([(got[name].double() - wanted[name]).abs().flatten() for name in got])
    assert float((apart < 1e-5).float().mean()) > 0.9999 and float(apart.max()) < 1e-4
    assert all(not torch.equal(got[name], first[name]) for name in got)


async def test_the_executor_and_its_base_do_not_change_by_training_bit_for_bit(tmp_path):
    base, answers, curated = small.base(), [], []
    local, _ = small.lent(base)
    before = weights_of(base)

    async def ask(step):
        done = await local.executor.complete(CHAT, SAMPLING)
        scores = await local.executor.loglikelihood(CHAT, "", ["go", "look around"])
        answers.append((done.text, done.tokens.logprobs, done.version, scores))
        curated.append((await local.curator.complete(CHAT, SAMPLING)).tokens.logprobs)

    await ask(0)
    await session_of(tmp_path, local, played=ask).run(None)
    await ask(4)
    assert all(answer == answers[0] for answer in answers)
    assert same(before, weights_of(base))
    assert curated[0] == curated[1] and len({tuple(one) for one in curated}) == 4


async def test_a_checkpoint_has_all_weights_and_answers_as_the_curator_that_was_trained(tmp_path):
    local, _ = small.lent()
    session = session_of(tmp_path, local)
    await session.run(None)
    saved = load_file(tmp_path / "step-0003" / "model.safetensors")
    assert same(saved, weights_of(session.network))
    made_from = json.loads((tmp_path / "step-0003" / "checkpoint.json").read_text())
    assert (made_from["method"], made_from["rank"]) == ("full", 0)
    fresh, _ = small.lent()
    untrained = await fresh.executor.complete(CHAT, SAMPLING)
    await fresh.publish(tmp_path / "step-0003", 3)
    answer, trained = [await one.curator.complete(CHAT, SAMPLING) for one in (fresh, local)]
    assert answer.tokens == trained.tokens and answer.version == 3
    assert (await fresh.executor.complete(CHAT, SAMPLING)).tokens == untrained.tokens


async def test_weights_that_answer_and_are_not_those_of_the_checkpoint_are_not_published(tmp_path):
    local, _ = small.lent()
    session = session_of(tmp_path, local, REWARDS[:1])
    await session.run(None)
    with torch.no_grad():
        session.network.model.norm.weight[0] += 1e-6
    with pytest.raises(NotPublished, match=r"1 of \d+ tensors differ, the first is model\.norm\.weight"):
        await local.publish(tmp_path / "step-0001", 1)


async def test_a_resumed_session_is_the_one_that_was_not_interrupted_bit_for_bit(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    await session_of(whole, small.lent()[0]).run(None)
    await session_of(parts, small.lent()[0], REWARDS[:2]).run(None)
    await session_of(parts, small.lent()[0]).run(parts / "step-0002")
    one, other = (load_file(path / "step-0003" / "model.safetensors") for path in (whole, parts))
    assert same(one, other)
    files = [torch.load(path / "step-0003" / "optimizer.pt", weights_only=True) for path in (whole, parts)]
    moments = [[value for state in file["state"].values() for value in state.values()] for file in files]
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*moments, strict=True))


@pytest.mark.parametrize(("first", "then"), [("full", "lora"), ("lora", "full")])
async def test_a_checkpoint_of_the_other_method_is_not_continued_from(tmp_path, first, then):
    await session_of(tmp_path, small.lent()[0], REWARDS[:1], method=first).run(None)
    with pytest.raises(RunError, match=f"training.method={then} does not train what is in it"):
        await session_of(tmp_path, small.lent()[0], method=then).run(tmp_path / "step-0001")


def spoilt(folder, to, change):
    shutil.copytree(folder, to)
    tensors = load_file(to / "model.safetensors")
    change(tensors)
    save_file(tensors, to / "model.safetensors")
    return to


async def test_weights_of_another_model_are_refused_by_name(tmp_path):
    await session_of(tmp_path, small.lent()[0], REWARDS[:1]).run(None)
    lacks = spoilt(tmp_path / "step-0001", tmp_path / "lacks", lambda tensors: tensors.pop("model.norm.weight"))
    other = spoilt(
        tmp_path / "step-0001", tmp_path / "other", lambda tensors: tensors.update({"model.norm.weight": torch.ones(7)})
    )
    for folder, why in ((lacks, "model.norm.weight is in one"), (other, r"model.norm.weight has the shape \[7\]")):
        with pytest.raises(ConfigError, match=why):
            small.lent()[0].put(folder)


# What is known before a run


def test_a_backend_that_takes_adapters_only_refuses_all_weights_before_the_run(tmp_path):
    settings = ["training.method=full", "model.kind=vllm", "model.url=http://127.0.0.1:9"]
    with pytest.raises(ConfigError, match=r"training\.method=full cannot be used with model\.kind=vllm: .*method=lora"):
        check(load_profile("pocket", settings), "train")
    save_file({"model.norm.weight": torch.ones(1)}, tmp_path / "model.safetensors")
    curating = load_profile("pocket", [f"curate.adapter={tmp_path}", *settings[1:]])
    with pytest.raises(ConfigError, match=r"it has all weights of a model, and model\.kind=vllm takes adapters only"):
        check_curate(curating)


MODEL = ["model.weights=Qwen/Qwen3-8B", "model.dtype=bfloat16", "model.device=cuda"]


def test_the_plan_has_the_weights_twice_gradients_and_two_moments_and_larger_checkpoints():
    parts = {}
    for method in ("lora", "full"):
        made = plan(
            load_profile("spark", [f"training.method={method}", "model.kind=local", *MODEL]),
            machine_of("spark", "cuda"),
            JOBS.load("train"),
        )
        parts[method] = {part.name: part for part in (*made.memory, *made.disk)}
    full = parts["full"]
    weights = next(part for name, part in full.items() if name.endswith("weights"))
    assert full["curator's copy, gradients, optimiser"].bytes == weights.bytes / 2 * 16
    assert "LoRA, gradients, optimiser" not in full
    assert full["checkpoints"].bytes > 50 * parts["lora"]["checkpoints"].bytes


def test_all_weights_are_no_departure_and_the_published_rate_is_none_either():
    lora, full = (
        {departure.setting: departure for departure in departures(load_profile("spark", [f"training.method={method}"]))}
        for method in ("lora", "full")
    )
    assert "trained weights" in lora and "trained weights" not in full
    assert "LoRA" in lora["training.learning_rate"].why and full["training.learning_rate"].why == ""
    published = departures(load_profile("spark", ["training.method=full", "training.learning_rate=1e-6"]))
    assert not {"trained weights", "training.learning_rate"} & {departure.setting for departure in published}
