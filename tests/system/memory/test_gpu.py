"""The sampler on a machine with a GPU: NVML's own answers."""

import os

import pytest
import torch

from engine.system.memory.sampler import Sampler
from engine.system.memory.sources import Sources
from tests.gpu import gpu

pytestmark = pytest.mark.gpu
GIB = 2**30


async def test_what_this_process_has_on_the_gpu_is_measured():
    held = torch.zeros(GIB, dtype=torch.uint8, device=gpu())
    sampler = Sampler(Sources())
    event = await sampler.measure(sampler.pool())
    print(event)
    shown = event.gpus[0]
    assert event.torch_allocated >= len(held) and event.gpu >= GIB
    assert shown.name == " ".join(torch.cuda.get_device_name(0).split())
    assert shown.shared or shown.total >= shown.used >= GIB
    listed = {one.pid: one.gpu for one in event.processes}
    assert (listed[os.getpid()] or 0) >= GIB or event.reasons["gpu_processes"]
