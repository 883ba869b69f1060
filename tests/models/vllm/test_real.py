"""The real vLLM (`.ci/install-vllm`): `python -m pytest -m vllm`. One server at a time; each takes half a minute to start.

The pocket model is served in float32, so that its log-probabilities are the trainer's but for the last digits.
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest
import pytest_asyncio
import torch
from peft import LoraConfig, get_peft_model

from engine.core.events import AdapterPublished, CurationMade, Notice, RolloutScored, ServerMeasured
from engine.core.holds import Holds
from engine.models.base import Message, NotPublished, Opening, Sampling
from engine.models.local.files import weights_path
from engine.models.local.settings import LocalModelSettings
from engine.models.local.weights import load_base, put_adapter
from engine.models.vllm.opening import open_models
from engine.models.vllm.process import Record, members_of
from engine.models.vllm.settings import VllmModelSettings
from engine.runs.directory import Run
from tests.whole_loop.shell import wait_until

REPOSITORY = Path(__file__).parents[3]
SMALL = (
    "training.groups=1",
    "training.rollouts=2",
    "training.tasks=2",
    "training.evaluate_every=0",
)
ASK = [Message("user", "Where is the mug? Write a skill.")]
SECONDS = 1500
"""A command or a wait that takes longer is in vain, however slow the machine is."""
pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def python(request):
    """A Python that has vllm."""
    given = request.config.getoption("--vllm-python")
    path = Path(given) if given else REPOSITORY / ".vllm-venv" / "bin" / "python"
    if not path.is_file():
        pytest.skip(f"{path} does not exist: .ci/install-vllm makes it, or name one with --vllm-python")
    return str(path)


class Opened:
    """An opened backend, and what the run sees of it."""

    def __init__(self, folder):
        self.folder, self.events, self.holds, self.reasons = folder, [], Holds(), []
        self.holds.on_change = lambda: self.reasons.append(self.holds.reason)

    async def open(self, settings):
        opening = Opening(lora_rank=8, emit=self.events.append, holds=self.holds, folder=self.folder)
        self.opened = await open_models(settings, opening)
        self.models, self.sink = self.opened.models, self.opened.sink
        return self

    @property
    def group(self):
        """The processes of the server."""
        return members_of(msgspec.json.decode((self.folder / "vllm.json").read_bytes(), type=Record))


def living(processes):
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


async def happened(condition):
    """Poll until `condition` gives something true."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.05)


def adapters_of(weights, folder, sizes):
    """Adapters, each a random step of one size from the one before."""
    torch.manual_seed(4)
    base = load_base(LocalModelSettings(weights=weights))
    network = get_peft_model(base, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    paths = []
    for number, size in enumerate(sizes, start=1):
        for name, parameter in network.named_parameters():
            if "lora_B" in name:
                parameter.data += torch.randn_like(parameter) * size
        paths.append(folder / f"step-{number:04d}")
        network.save_pretrained(str(paths[-1]))
    return paths


def differences(completions, adapter, weights="pocket"):
    """How far the log-probabilities of each completion are, in the mean, from those of the base with an adapter."""
    network = load_base(LocalModelSettings(weights=weights))
    network = network if adapter is None else put_adapter(network, adapter)
    found = []
    for completion in completions:
        tokens = completion.tokens
        with torch.inference_mode():
            logits = network(input_ids=torch.tensor([tokens.prompt_ids + tokens.completion_ids])).logits[0]
        rows = logits[len(tokens.prompt_ids) - 1 : -1].float().log_softmax(-1)
        own = rows.gather(-1, torch.tensor(tokens.completion_ids)[:, None])[:, 0]
        found.append(float((own - torch.tensor(tokens.logprobs)).abs().mean()))
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pocket(python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pocket")
    settings = VllmModelSettings(python=python, dtype="float32", context=4096, kv_cache_gib=1.0)
    opened = await Opened(folder).open(settings)
    group = opened.group
    assert len(group) > 1
    yield opened
    await opened.opened.close()
    assert not living(group)


async def test_swaps_under_load_fail_no_call_and_each_call_is_decoded_by_the_adapter_of_its_version(pocket, tmp_path):
    steps = adapters_of("pocket", tmp_path, (3e-2, 3e-2, 3e-2))
    done, failed, ending = [], [], False

    async def asking(seed):
        while not ending:
            try:
                done.append(await pocket.models.curator.complete(ASK, Sampling(max_tokens=12, seed=seed)))
            except Exception as error:  # noqa: BLE001 - none may fail, whatever it is
                failed.append(error)

    callers = [asyncio.create_task(asking(seed)) for seed in range(4)]
    for step, path in enumerate(steps, start=1):
        proof = await pocket.sink.publish(path, step)
        assert not proof.unmeasured and proof.difference < 0.01 < proof.separation
        await happened(lambda step=step: failed or sum(completion.version == step for completion in done) >= 20)
    ending = True
    await asyncio.gather(*callers)
    assert not failed and {completion.version for completion in done} == {0, 1, 2, 3}
    for version, adapter in enumerate([None, *steps]):
        of_version = [completion for completion in done if completion.version == version]
        assert max(differences(of_version, adapter)) < 0.01
        assert max(differences(of_version, steps[-1] if version != 3 else None)) > 0.01
    print(f"{len(done)} calls, 0 failed, {len(steps)} swaps")


async def test_a_server_that_is_killed_in_mid_step_is_started_again_with_its_adapter(pocket, tmp_path):
    (step,) = adapters_of("pocket", tmp_path, (5e-2,))
    await pocket.sink.publish(step, 9)
    completions = []

    async def ask(seed):
        for again in range(0, 120, 6):
            sampling = Sampling(max_tokens=400, seed=seed + again, stop=("\x03",))
            completions.append(await pocket.models.curator.complete(ASK, sampling))

    asking = [asyncio.create_task(ask(seed)) for seed in range(6)]
    await happened(lambda: completions)
    core = next(one for one in pocket.group if "EngineCore" in " ".join(one.cmdline()))
    core.send_signal(signal.SIGKILL)
    await asyncio.wait_for(asyncio.gather(*asking), SECONDS)
    assert len(completions) == 120
    assert {completion.version for completion in completions} == {9}
    assert max(differences(completions, step)) < 0.01
    assert any("started again" in reason for reason in pocket.reasons) and pocket.holds.reason == ""


async def test_long_prompts_side_by_side_with_seeds_do_not_end_a_server_on_a_cpu(pocket):
    ended = len(pocket.reasons)
    asked = [[Message("user", f"{seed} Where is the mug? " * 200)] for seed in range(24)]
    made = await asyncio.gather(
        *(pocket.models.executor.complete(ask, Sampling(max_tokens=8, seed=1)) for ask in asked)
    )
    assert min(completion.usage.prompt for completion in made) > 1000 and pocket.reasons[ended:] == []


async def test_a_rank_above_the_limit_is_refused_with_what_to_change(pocket, tmp_path):
    network = get_peft_model(
        load_base(LocalModelSettings()), LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    network.save_pretrained(str(tmp_path / "wide"))
    version = (await pocket.models.curator.complete(ASK, Sampling(max_tokens=2))).version
    with pytest.raises(NotPublished, match=r"rank is above its limit .*lower training\.lora_rank"):
        await pocket.sink.publish(tmp_path / "wide", 10)
    assert (await pocket.models.curator.complete(ASK, Sampling(max_tokens=2))).version == version


async def test_the_server_reports_what_it_does(pocket):
    measured = [event for event in pocket.events if isinstance(event, ServerMeasured)]
    assert any(event.running for event in measured) and any(event.generation_rate for event in measured)
    assert all(event.kv_cache is not None for event in measured)


async def test_a_prompt_that_is_too_long_says_so(pocket):
    from engine.models.base import PromptTooLong

    with pytest.raises(PromptTooLong):
        await pocket.models.executor.complete([Message("user", "mug " * 5000)], Sampling(max_tokens=4))


def cli(*arguments):
    command = [sys.executable, "-m", "engine.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=REPOSITORY)


def events_of(path, *kinds):
    with Run.open(path) as run:
        return [stored.event for stored in run.events(kinds=list(kinds))]


VLLM = ("model.kind=vllm", "model.context=4096", "model.dtype=float32", "model.kv_cache_gib=1")


def test_a_training_step_of_the_pocket_profile_goes_through_the_server(python, tmp_path):
    train = ("train", "--profile", "pocket", "--steps", 1, "--set", *SMALL)
    served = cli(*train, *VLLM, f"model.python={python}", "--run", tmp_path / "served")
    assert served.returncode == 0, served.stdout + served.stderr
    local = cli(*train, "--run", tmp_path / "local")
    assert local.returncode == 0, local.stdout + local.stderr
    rewards = {
        name: [
            event.rewards.r
            for event in events_of(tmp_path / name, "rollout_scored")
            if isinstance(event, RolloutScored)
        ]
        for name in ("served", "local")
    }
    print(f"rewards: {rewards}")
    assert all(reward is not None for values in rewards.values() for reward in values)
    made = [event for event in events_of(tmp_path / "served", "curation_made") if isinstance(event, CurationMade)]
    assert len(made) == 4 and {event.version for event in made} == {0}
    (published,) = events_of(tmp_path / "served", "adapter_published")
    assert isinstance(published, AdapterPublished) and published.unmeasured == ""
    assert cli("verify", tmp_path / "served").returncode == 0


def test_after_the_engine_is_killed_no_server_is_left_and_the_run_goes_on(python, tmp_path):
    path = tmp_path / "run"
    train = ("train", "--profile", "pocket", "--steps", "2", "--set", *SMALL, *VLLM, f"model.python={python}")
    detached = cli(*train, "--run", path, "--detach")
    assert detached.returncode == 0, detached.stdout + detached.stderr
    record = path / "logs" / "vllm.json"
    wait_until(lambda: record.exists() and events_of(path, "turn_taken"))
    group = members_of(msgspec.json.decode(record.read_bytes(), type=Record))
    assert len(group) > 1
    engine = events_of(path, "run_started")[-1].pid
    os.kill(engine, signal.SIGKILL)
    wait_until(lambda: not living(group))
    resumed = cli("resume", path)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    wait_until(lambda: len(events_of(path, "adapter_published")) == 2)


async def test_two_adapters_of_a_real_llm_answer_side_by_side(python, request, tmp_path):
    given = request.config.getoption("--smol-model")
    if not given:
        pytest.skip("no SmolLM2: make one with skillos-engine models add smol, and name it with --smol-model")
    weights = weights_path(given)
    settings = VllmModelSettings(python=python, weights=weights, dtype="bfloat16", context=2048, kv_cache_gib=1.0)
    opened = await Opened(tmp_path).open(settings)
    try:
        steps = adapters_of(weights, tmp_path, (3e-2, 3e-2))
        for step, path in enumerate(steps, start=1):
            proof = await opened.sink.publish(path, step)
            print(proof)
            assert not proof.unmeasured and proof.difference < proof.separation
        completion = await opened.models.curator.complete(ASK, Sampling(max_tokens=16, seed=1))
        own, other = (differences([completion], path, weights)[0] for path in reversed(steps))
        assert completion.version == 2 and own < other
        assert any(
            "answers as the trainer computes" in event.message for event in opened.events if isinstance(event, Notice)
        )
    finally:
        await opened.opened.close()
