"""The local backend on a GPU: one base for both roles, and the answers of the CPU."""

import asyncio
import gc

import pytest
import torch

from engine.models.base import Message, Opening, Sampling
from engine.models.local.opening import open_models
from engine.models.local.settings import LocalModelSettings
from engine.skills import TOOLS
from tests.gpu import gpu
from tests.models.contract.adapters import loud_adapter

pytestmark = pytest.mark.gpu

ASK = [Message("system", "Curate."), Message("user", "Get a hot mug.\nResult: failed")]
PLAY = [Message("system", "Play."), Message("user", "You are in the hall. Get a mug.\ngo: box rack")]
GREEDY = Sampling(temperature=0, max_tokens=32)
OPTIONS = ["<action>go box</action>", "<action>go box 1</action>", "<action>look</action>"]
NEAR = {"float32": 1e-3, "bfloat16": 0.3}
"""How far log-probabilities of the pocket model may be from those of the CPU in float32."""


def size_of(path):
    return path.stat().st_size


async def opened(device, dtype="float32"):
    return await open_models(LocalModelSettings(device=device, dtype=dtype), Opening(lora_rank=4))


async def every(models, count=8):
    """Answers of both roles, asked at once, the executor's first."""
    asked = (
        model.complete(chat, Sampling(temperature=1.0, max_tokens=32, seed=seed), tools)
        for seed in range(count)
        for model, chat, tools in ((models.executor, PLAY, None), (models.curator, ASK, TOOLS))
    )
    answers = await asyncio.gather(*asked)
    return answers[::2], answers[1::2]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
async def test_both_roles_answer_from_one_base_and_the_adapter_is_on_for_the_curator_only(tmp_path, dtype):
    device = gpu()
    before = torch.cuda.memory_allocated()
    models = await opened(device, dtype)
    base = torch.cuda.memory_allocated() - before
    bare = await every(models.models)
    loud_adapter("pocket", tmp_path / "adapter")
    await models.sink.publish(tmp_path / "adapter", 1)
    adapted = await every(models.models)
    gc.collect()
    adapter = size_of(tmp_path / "adapter" / "adapter_model.safetensors")
    assert torch.cuda.memory_allocated() - before - base < 3 * adapter < base  # no second base
    for one, other in zip(bare[0], adapted[0], strict=True):
        assert one.tokens == other.tokens
    assert all(one.tokens.logprobs != other.tokens.logprobs for one, other in zip(bare[1], adapted[1], strict=True))
    await models.close()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
async def test_a_gpu_answers_as_the_cpu_does(dtype):
    found = []
    for device, kind in ((gpu(), dtype), ("cpu", "float32")):
        models = await opened(device, kind)
        executor, curator = models.models.executor, models.models.curator
        answers = [await executor.complete(PLAY, GREEDY), await curator.complete(ASK, GREEDY, TOOLS)]
        found.append((answers, await executor.loglikelihood(PLAY, "", OPTIONS)))
        await models.close()
    (answers, scores), (expected, expected_scores) = found
    for one, other in zip(answers, expected, strict=True):
        assert one.text == other.text or dtype == "bfloat16"
        pairs = zip(one.tokens.completion_ids, other.tokens.completion_ids, strict=False)
        same = next((at for at, (a, b) in enumerate(pairs) if a != b), len(one.tokens.logprobs))
        pairs = zip(one.tokens.logprobs[:same], other.tokens.logprobs[:same], strict=True)
        largest = max(abs(a - b) for a, b in pairs)
        print(f"{dtype}: log-probabilities of {same} equal tokens differ by {largest:.2g} at most")
        assert same and largest < NEAR[dtype]
    print(f"{dtype}: likelihoods {scores} beside {expected_scores}")
    assert scores == pytest.approx(expected_scores, abs=NEAR[dtype])


async def test_no_answer_waits_for_a_plan_of_cudnn():
    models = await opened(gpu(), "bfloat16")
    seen = set()
    models.base.network.register_forward_pre_hook(lambda *_: seen.add(torch.backends.cuda.cudnn_sdp_enabled()))
    await models.models.executor.complete(PLAY, GREEDY)
    await models.models.executor.loglikelihood(PLAY, "", OPTIONS)
    assert seen == {False} and torch.backends.cuda.cudnn_sdp_enabled()
    await models.close()
