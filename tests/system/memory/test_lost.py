"""A GPU or driver that is lost while a run works: its figures become unknown, the rest goes on, and it is found again."""

import asyncio
import threading
from types import SimpleNamespace

import pynvml
import pytest

from engine.core.events import Notice
from engine.core.holds import Holds
from engine.system.memory.patience import Patient
from engine.system.memory.sampler import Sampler
from engine.system.memory.watching import watch
from engine.system.settings import LimitsSettings
from tests.system.memory.constructed import (
    ENGINE,
    GIB,
    H100_TOTAL,
    Clock,
    Files,
    Gpu,
    Nvml,
    Torch,
    host,
    process,
    sources,
)

LOST = {
    "lost": pynvml.NVML_ERROR_GPU_IS_LOST,
    "reset required": pynvml.NVML_ERROR_RESET_REQUIRED,
    "unloaded": pynvml.NVML_ERROR_UNINITIALIZED,
    "no driver": pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    "unknown": pynvml.NVML_ERROR_UNKNOWN,
}


def machine(nvml, clock, torch=None):
    files = Files({**host(64 * GIB, 32 * GIB), **process(ENGINE, "python")})
    return sources(files, nvml, torch, clock=clock)


def h100():
    return Nvml([Gpu("NVIDIA H100", (H100_TOTAL, 20 * GIB), {ENGINE: 10 * GIB})])


@pytest.mark.parametrize("code", LOST.values(), ids=LOST)
async def test_a_gpu_that_is_lost_in_mid_run_has_no_figures_until_it_is_back(code):
    nvml, clock = h100(), Clock()
    sampler = Sampler(machine(nvml, clock))
    assert (await sampler.measure(sampler.pool())).gpu == 10 * GIB
    nvml.fails = code
    event = await sampler.measure(sampler.pool())
    assert event.gpu is None and (event.total, event.available) == (64 * GIB, 32 * GIB)
    (gpu,) = event.gpus
    assert (gpu.total, gpu.used) == (None, None) and gpu.reason.startswith("the GPU is lost: NVML reports ")
    for _ in range(5):
        await sampler.measure(sampler.pool())
    assert nvml.inits == 1, "it is not tried again at once"
    clock.now += 11
    event = await sampler.measure(sampler.pool())
    assert nvml.inits == 2 and event.gpu is None and event.gpus == [] and event.reasons["devices"]
    nvml.fails = None
    clock.now += 21
    assert (await sampler.measure(sampler.pool())).gpu == 10 * GIB


async def test_one_of_two_gpus_can_be_lost():
    nvml = h100()
    nvml.gpus.append(Gpu("NVIDIA H100", pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_GPU_IS_LOST))
    sampler = Sampler(machine(nvml, Clock()))
    event = await sampler.measure(sampler.pool())
    assert event.gpu == 10 * GIB and [gpu.total for gpu in event.gpus] == [H100_TOTAL, None]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "its driver is not loaded"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "restart the machine, or the container"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "NVML cannot be used"),
    ],
)
async def test_a_driver_that_cannot_be_used_is_named(code, words):
    nvml = h100()
    nvml.fails = code
    sampler = Sampler(machine(nvml, Clock()))
    event = await sampler.measure(sampler.pool())
    assert event.gpus == [] and words in event.reasons["gpu"] and words in event.source


async def test_torch_on_a_lost_gpu_is_unknown_with_the_reason():
    def fail(number):
        raise RuntimeError("CUDA error: unspecified launch failure\nmore")

    torch = Torch(1, 2)
    torch.cuda.memory_allocated = fail
    event = await Sampler(machine(h100(), Clock(), torch)).measure(Sampler(machine(None, Clock())).pool())
    assert event.torch_reserved is None and event.reasons["torch"] == "torch: CUDA error: unspecified launch failure"


async def test_torch_is_asked_for_nothing_before_it_uses_the_gpu():
    torch = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: False))
    sampler = Sampler(machine(h100(), Clock(), torch))
    assert (await sampler.measure(sampler.pool())).reasons["torch"] == "torch does not use a GPU"


async def test_a_fault_that_the_driver_reports_becomes_one_warning():
    nvml, seen = h100(), []
    nvml.faults = [79, 79, 12345]
    writer = SimpleNamespace(emit=seen.append, listen=lambda hear: None)
    watching = asyncio.create_task(watch(machine(nvml, Clock()), LimitsSettings(), Holds(), writer))
    while not any(isinstance(event, Notice) for event in seen):
        await asyncio.sleep(0.02)
    watching.cancel()
    messages = [event.message for event in seen if isinstance(event, Notice)]
    assert messages == [
        "the NVIDIA driver reported XID 79: the GPU has fallen off the bus; the machine must be restarted",
        "the NVIDIA driver reported XID 12345: see its documentation",
    ]


async def test_a_driver_that_hangs_costs_its_own_figures_only():
    nvml, goes_on, clock = h100(), threading.Event(), Clock()
    nvml.nvmlDeviceGetMemoryInfo = lambda gpu: goes_on.wait(30) and SimpleNamespace(total=1, used=0)
    sampler = Sampler(machine(nvml, clock))
    began = asyncio.get_running_loop().time()
    event = await sampler.measure(sampler.pool())
    assert event.available == 32 * GIB and event.engine == GIB
    assert event.gpu is None and event.reasons["gpu"] == "the NVIDIA driver does not answer"
    for _ in range(5):
        await sampler.measure(sampler.pool())
    assert asyncio.get_running_loop().time() - began < 3
    asking = [thread for thread in threading.enumerate() if thread.name == "gpus"]
    assert len(asking) == 1 and asking[0].daemon, "no second call is made while one hangs, and the engine can end"
    goes_on.set()


async def test_what_a_patient_call_raises_is_raised_where_it_is_awaited():
    def fail():
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        await Patient("fails", fail, Clock()).ask(5)
