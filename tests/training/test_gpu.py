"""Training on a GPU: probabilities of sampler and trainer, the gradient beside the CPU's, and a whole run."""

import json
import subprocess
import sys
import time

import pytest
import torch

from engine.config import load_profile
from engine.models.base import Message, Opening, Sampling
from engine.models.local.opening import open_models
from engine.models.local.settings import LocalModelSettings
from engine.models.local.weights import load_base
from engine.runs.directory import Run
from engine.skills import TOOLS
from engine.system.plan.shapes import shape_of
from engine.training.network import trainable, trained
from engine.training.samples import TrainingSample
from engine.training.update import Updater
from tests.gpu import gpu

pytestmark = pytest.mark.gpu

CURATE = [Message("system", "Curate."), Message("user", "Get a hot mug.\nResult: failed")]
COUNT, TASKS = 8, 2
SETTINGS = (
    "training.groups=1",
    f"training.rollouts={COUNT // TASKS}",
    f"training.tasks={TASKS}",
    "training.max_grad_norm=0",
)


async def answers(device, dtype):
    """Samples of one group, by the pocket model on `device`, and the network that a trainer borrows then."""
    opened = await open_models(LocalModelSettings(device=device, dtype=dtype), Opening())
    network = trainable(opened.base.lend(), load_profile("pocket").training)
    with torch.no_grad():
        for number, one in enumerate(trained(network)):
            one.add_(torch.randn(one.shape, generator=torch.Generator().manual_seed(number)).to(one), alpha=0.02)
    opened.base.serve(network)
    samples = []
    for seed in range(COUNT):
        drawn = await opened.models.curator.complete(CURATE, Sampling(temperature=1.0, max_tokens=64, seed=seed), TOOLS)
        tokens = drawn.tokens
        mask = [1] * len(tokens.completion_ids)
        samples.append(
            TrainingSample(tokens.prompt_ids, tokens.completion_ids, tokens.logprobs, mask, float(seed // TASKS % 3))
        )
    return network, samples


@pytest.mark.parametrize(("dtype", "mean", "outside"), [("float32", 1e-3, 0.0), ("bfloat16", 0.05, 0.2)])
async def test_the_sampler_s_probabilities_are_the_trainer_s(dtype, mean, outside):
    network, samples = await answers(gpu(), dtype)
    made = Updater(network, load_profile("pocket", [*SETTINGS]), corrects=False).update(samples, 1)
    print(f"{dtype}: {made.ratio}")
    assert made.ratio.mean == pytest.approx(1.0, abs=mean) and made.ratio.outside <= outside


@pytest.mark.parametrize(("dtype", "least"), [("float32", 0.99999), ("bfloat16", 0.99)])
@pytest.mark.parametrize("checkpointing", [False, True])
async def test_the_gradient_is_that_of_the_cpu(dtype, least, checkpointing):
    _, samples = await answers("cpu", "float32")
    settings = load_profile("pocket", [*SETTINGS, f"training.gradient_checkpointing={json.dumps(checkpointing)}"])
    gradients = []
    for device, kind in ((gpu(), dtype), ("cpu", "float32")):
        base = load_base(LocalModelSettings(device=device, dtype=kind))
        updater = Updater(trainable(base, settings.training), settings, corrects=False)
        found = []
        updater.optimizer.register_step_pre_hook(
            lambda *given, found=found, network=updater.network: found.extend(
                one.grad.detach().float().cpu().flatten() for one in trained(network)
            )
        )
        updater.update(samples, 1)
        gradients.append(torch.cat(found).double())
    cosine = float(torch.nn.functional.cosine_similarity(*gradients, dim=0))
    length = float(gradients[0].norm() / gradients[1].norm())
    print(f"{dtype}, checkpointing {checkpointing}: cosine {cosine:.7f}, length {length:.5f}")
    assert cosine > least and length == pytest.approx(1.0, abs=1e-3 if dtype == "float32" else 0.05)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_long_text_makes_no_matrix_of_tokens(dtype):
    length, settings = 3072, load_profile("pocket", ["training.groups=1", "training.rollouts=2", "training.tasks=2"])
    base = load_base(LocalModelSettings(device=gpu(), dtype=dtype))
    updater = Updater(trainable(base, settings.training), settings, corrects=False)
    ids = torch.randint(3, 700, (4, length), generator=torch.Generator().manual_seed(1)).tolist()
    samples = [
        TrainingSample(row[:-64], row[-64:], [-1.0] * 64, [1] * 64, float(number > 1)) for number, row in enumerate(ids)
    ]
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    updater.update(samples, 1)
    peak = torch.cuda.max_memory_allocated() - before
    matrix = length**2 * base.config.num_attention_heads * base.dtype.itemsize
    layers = (
        length * base.config.num_hidden_layers * shape_of("pocket").activation_bytes(base.dtype.itemsize, on_gpu=True)
    )
    print(f"{dtype}: peak {peak / 1e6:.0f} MB, planned {layers / 1e6:.0f} MB, one matrix {matrix / 1e6:.0f} MB")
    assert peak < layers + matrix


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_step_of_the_pocket_profile_on_a_gpu_is_verified(tmp_path, dtype):
    gpu()

    def engine(*arguments):
        command = [sys.executable, "-m", "engine.cli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    settings = ("model.device=cuda", f"model.dtype={dtype}", "training.evaluate_every=0")
    began = time.perf_counter()
    engine("train", "--profile", "pocket", "--steps", 1, "--run", tmp_path / "run", "--set", *settings)
    seconds = time.perf_counter() - began
    print(engine("verify", tmp_path / "run"))
    with Run.open(tmp_path / "run") as run:
        (update,) = [stored.event for stored in run.events(kinds=["update_made"])]
        (ended,) = [stored.event for stored in run.events(kinds=["step_ended"])]
        measured = [stored.event for stored in run.events(kinds=["memory_measured"])]
        notices = [stored.event for stored in run.events(kinds=["notice"])]
    print(f"{dtype}: {seconds:.1f} s in all; {ended.seconds_by}; {update.ratio}; {notices}")
    print(measured[-1])
    assert not update.skipped and update.grad_norm > 0
    assert any((one.torch_reserved or 0) > 0 and (one.gpu or 0) > 0 for one in measured)
