"""The watcher on this machine, with real files, processes and control groups."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from engine.core.events import MemoryMeasured, StateChanged, encode
from engine.core.holds import Holds
from engine.jobs.control import Control
from engine.system.memory import Sources, watch
from engine.system.memory.sampler import Sampler, Thrift
from engine.system.memory.sources import RealFiles
from engine.system.settings import LimitsSettings
from tests.system.memory.constructed import GIB, Files, host, sources

LIMIT, EATEN = 256 * 2**20, 160 * 2**20
GROUPS = Path(
    "/sys/fs/cgroup/memory" if Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists() else "/sys/fs/cgroup"
)
LIMIT_FILE = "memory.limit_in_bytes" if GROUPS.name == "memory" else "memory.max"

LOADING = """
import asyncio, sys, threading
from engine.system.memory import Sources
from engine.system.memory.sampler import Sampler

async def main():
    sampler, loading = Sampler(Sources()), threading.Thread(target=lambda: __import__("torch"))
    loading.start()
    while loading.is_alive():
        await sampler.measure(sampler.pool())
        await asyncio.sleep(0.005)
    print((await sampler.measure(sampler.pool())).reasons["torch"], "pynvml" in sys.modules)

asyncio.run(main())
"""


async def test_this_machine_has_real_figures():
    sampler = Sampler(Sources())
    event = await sampler.measure(sampler.pool())
    assert event.total > 2**30 and 0 < event.available <= event.total
    own = next(one for one in event.processes if one.pid == os.getpid())
    assert own.name == "engine" and own.resident > 10 * 2**20 and event.engine >= own.resident
    if not event.gpus:
        assert event.gpu is None and event.reasons["gpu"].startswith("no NVIDIA device")


async def test_a_child_counts_for_the_engine_while_it_lives():
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            sampler = Sampler(Sources())
            event = await sampler.measure(sampler.pool())
            if (found := [one for one in event.processes if one.pid == child.pid]) and found[0].resident > 2**20:
                break
        assert found[0].resident > 2**20
    finally:
        await child.communicate(b"\n")
    after = await sampler.measure(sampler.pool())
    assert not [one for one in after.processes if one.pid == child.pid]


def test_memory_is_measured_also_while_another_thread_loads_torch():
    done = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("torch does not use a GPU")


async def test_a_sample_costs_the_engine_little():
    sampler, count = Sampler(Sources()), 20
    await sampler.measure(sampler.pool())
    began = time.process_time()
    for _ in range(count):
        await sampler.measure(sampler.pool())
    assert (time.process_time() - began) / count < 0.02, "about 0.3 ms in a quiet process"


async def recorded(watching, seen, until):
    """Run the watcher until a condition holds; at most 20 s."""
    task = asyncio.create_task(watching)
    deadline = time.monotonic() + 20
    while not until() and time.monotonic() < deadline and not task.done():
        await asyncio.sleep(0.02)
    task.cancel()
    assert until(), seen


async def test_a_run_gets_a_measurement_at_once_and_further_ones_rarely():
    seen = []
    writer = SimpleNamespace(emit=seen.append, listen=lambda hear: None)
    began = time.monotonic()
    await recorded(
        watch(Sources(), LimitsSettings(), Holds(), writer), seen, lambda: seen and time.monotonic() - began > 2.5
    )
    assert [type(event) for event in seen] == [MemoryMeasured]
    assert len(encode(seen[0])) < 2_000


async def test_the_guard_pauses_the_run_and_ends_the_pause():
    """With a constructed source that has little memory, and then much."""
    files, states, seen = Files(host(16 * GIB, GIB // 2)), [], []
    machine = sources(files, clock=time.monotonic)
    control = Control(lambda state, reason: states.append(StateChanged(state, reason)))
    writer = SimpleNamespace(emit=seen.append, listen=lambda hear: None)
    await recorded(
        watch(machine, LimitsSettings(headroom_gib=1), control.holds, writer), seen, lambda: states and len(seen) >= 1
    )
    assert states[0].state == "paused" and "512 MiB of 16.0 GiB memory available" in states[0].reason
    assert seen[0].headroom == GIB


@pytest.fixture
def group():
    """A control group of its own with a limit of 256 MiB; skipped where none can be made."""
    folder = GROUPS / f"skillos-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error.strerror}")
    try:
        try:
            (folder / LIMIT_FILE).write_text(str(LIMIT))
        except OSError as error:
            pytest.skip(f"no control group with a limit can be made here: {error.strerror}")
        yield folder
    finally:
        deadline = time.monotonic() + 10
        while (folder / "cgroup.procs").read_text().split() and time.monotonic() < deadline:
            time.sleep(0.05)
        folder.rmdir()


GUARDED = """
import asyncio, sys
from pathlib import Path
from types import SimpleNamespace
Path(sys.argv[1], "cgroup.procs").write_text("0")
from engine.core.holds import Holds
from engine.system.memory import Sources, guard, watch
from engine.system.settings import LimitsSettings

guard.LEAST_SECONDS = guard.CALM_SECONDS = 1.0
eat, free = "block = bytearray(b'x') * %d; print('eaten', flush=True); input()", None

async def main():
    holds, seen = Holds(), []
    changed = asyncio.Event()
    holds.on_change = changed.set
    writer = SimpleNamespace(emit=seen.append, listen=lambda hear: None)
    watching = asyncio.create_task(watch(Sources(), LimitsSettings(headroom_gib=96 / 1024), holds, writer))
    while not seen:
        await asyncio.sleep(0.05)
    print(seen[0].source, seen[0].total, flush=True)
    eater = await asyncio.create_subprocess_exec(
        sys.executable, "-c", eat % int(sys.argv[2]), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    await eater.stdout.readline()
    await changed.wait()
    print(holds.reason, flush=True)
    changed.clear()
    await eater.communicate(b"\\n")
    await changed.wait()
    print("free" if not holds.reason else holds.reason, flush=True)
    watching.cancel()

asyncio.run(asyncio.wait_for(main(), 500))
"""


def test_a_real_control_group_that_fills_pauses_the_run_and_ends_the_pause(group):
    arguments = [sys.executable, "-c", GUARDED, str(group), str(EATEN)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    first, reason, last = done.stdout.splitlines()
    assert first.startswith("control group, limit 256 MiB; ") and first.endswith(f" {LIMIT}")
    assert "of 256 MiB memory available, under limits.headroom_gib=" in reason and "Largest: " in reason
    assert last == "free"


def measured(**more):
    return MemoryMeasured("host", 100 * GIB, 50 * GIB, GIB, **more)


def test_only_what_changed_noticeably_is_worth_an_event_before_its_time():
    thrift = Thrift(least=5, most=20)
    assert thrift.wants(measured(), 0)
    assert not thrift.wants(measured(pressure=0.0, swap_used=0), 1), "the least time has not gone by"
    thrift = Thrift(least=5, most=20)
    thrift.wants(measured(), 0)
    near = msgspec.structs.replace(measured(), available=50 * GIB - 2**20)
    far = msgspec.structs.replace(measured(), available=45 * GIB)
    assert not any(thrift.wants(near, now) for now in range(6, 20))
    assert thrift.wants(near, 20)
    assert not thrift.wants(far, 24) and thrift.wants(far, 25)
    assert thrift.wants(far, 26, at_once=True)


def test_real_files_are_read_up_to_a_limit(tmp_path):
    long = tmp_path / "long"
    long.write_bytes(b"\xff" + b"a" * 1_000_000)
    assert len(RealFiles().read(str(long))) == 65_536
